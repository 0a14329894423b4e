import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explain } from '../../src/supervisor/failure.ts';
import type { Evidence, FailureReason } from '../../src/supervisor/failure.ts';

const evidence: Evidence = {
  program: 'engine',
  external: false,
  wasReady: false,
  cause: undefined,
  tail: ['one', 'two', '', 'three', 'four', 'five', 'six'],
  phase: 'loading model',
  startupTimeoutMs: 90_000,
  lastProbe: 'GET /health: 503',
};
const exit = (code: number | null, signal: string | null = null): FailureReason => ({ kind: 'exited', exit: { code, signal } });
const cause = { cause: 'the option is not known', remedy: 'Remove it.', permanent: true, line: 'error: invalid argument: --bogus' };

test('an exit without a known cause shows its code and the last five lines', () => {
  assert.deepEqual(explain(exit(3), evidence), {
    code: 'engine_exited',
    message: 'engine ended with exit code 3 while starting (loading model); its last lines:\n  two\n  three\n  four\n  five\n  six',
    permanent: false,
  });
});

test('an exit without any output says so', () => {
  assert.equal(
    explain(exit(0), { ...evidence, tail: [] }).message,
    'engine ended with exit code 0 while starting (loading model); it printed nothing',
  );
});

test('SIGKILL names its usual reason, other signals their name', () => {
  assert.match(explain(exit(null, 'SIGKILL'), evidence).message, /out of memory/);
  assert.match(explain(exit(null, 'SIGSEGV'), evidence).message, /was killed by SIGSEGV/);
});

test('a cause from the log comes with its remedy and its line, and its permanence', () => {
  assert.deepEqual(explain(exit(1), { ...evidence, cause }), {
    code: 'engine_exited',
    message:
      'engine ended with exit code 1 while starting (loading model): the option is not known. Remove it.\n  error: invalid argument: --bogus',
    permanent: true,
  });
});

test('no cause is permanent for an engine that had been ready', () => {
  assert.equal(explain(exit(1), { ...evidence, cause, wasReady: true }).permanent, false);
});

test('a start timeout names the time, the phase, the last probe and the last lines', () => {
  const { code, message } = explain({ kind: 'start-timeout' }, evidence);
  assert.equal(code, 'start_timeout');
  assert.match(
    message,
    /not ready after 90 s \(gateway\.timeouts\.startup_s\), in phase "loading model"; last probe: GET \/health: 503; its last lines:\n {2}two/,
  );
});

test('a mismatch and an unresponsive engine say what was seen', () => {
  assert.deepEqual(explain({ kind: 'mismatch', detail: 'serves x; expected y' }, evidence), {
    code: 'model_mismatch',
    message: 'engine: serves x; expected y',
    permanent: false,
  });
  assert.match(
    explain({ kind: 'unresponsive' }, evidence).message,
    /stopped answering its health probe \(GET \/health: 503\) and was killed/,
  );
});

test('a very long line is cut', () => {
  assert.ok(explain(exit(1), { ...evidence, tail: ['x'.repeat(100_000)] }).message.length < 1000);
});
