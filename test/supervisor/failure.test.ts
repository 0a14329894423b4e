import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explain } from '../../src/supervisor/failure.ts';
import type { Evidence, Failure, FailureReason, Hang } from '../../src/supervisor/failure.ts';

const evidence: Evidence = {
  program: 'engine',
  external: false,
  wasReady: false,
  cause: undefined,
  tail: ['one', 'two', '', 'three', 'four', 'five', 'six'],
  phase: 'loading model',
  startupTimeoutMs: 90_000,
  lastProbe: 'GET /health: 503',
  escaped: 0,
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
  assert.match(explain(exit(null, 'SIGKILL'), evidence).message, /possibly by the kernel's out-of-memory killer/);
  assert.match(explain(exit(null, 'SIGSEGV'), evidence).message, /was killed by SIGSEGV/);
});

test('a cause from the log comes with its remedy and its line, and its permanence', () => {
  assert.deepEqual(explain(exit(1), { ...evidence, cause }), {
    code: 'engine_exited',
    message:
      'engine ended with exit code 1 while starting (loading model): the option is not known. Remove it.\n  error: invalid argument: --bogus',
    permanent: true,
  });
  assert.equal(explain(exit(1), { ...evidence, cause: { ...cause, topic: 'unknown option' } }).cause, 'unknown option');
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

function killedBy(killer: 'out-of-memory' | 'somebody'): Failure {
  return explain({ kind: 'exited', exit: { code: null, signal: 'SIGKILL', killer } }, { ...evidence, wasReady: true });
}

test("a kill by the kernel for want of memory has a code of its own, and another's is not taken for one", () => {
  assert.equal(killedBy('out-of-memory').code, 'oom_killed');
  assert.match(
    killedBy('out-of-memory').message,
    /^engine was killed by the kernel's out-of-memory killer while serving.*too little memory/,
  );
  assert.equal(killedBy('somebody').code, 'engine_exited');
  assert.match(killedBy('somebody').message, /not for want of memory/);
});

function hung(proof: Hang['proof']): Failure {
  return explain({ kind: 'hung', inFlight: 2, forMs: 61_000, proof }, evidence);
}

test('a hang says how long nothing moved, and by which sign', () => {
  assert.equal(hung('counters').code, 'engine_hung');
  assert.match(hung('counters').message, /no byte for 2 requests in flight in 61 s, and its own counters stood still .*hang_s/);
  assert.match(hung('silence').message, /answered nothing else either .*hang_s/);
  assert.match(hung('patience').message, /first byte is overdue .*first_byte_s/);
});

test('processes that had left its group are told of, whatever it failed with', () => {
  const told = /\n2 of its processes had left its process group, and were ended too$/u;
  assert.match(explain(exit(3), { ...evidence, escaped: 2 }).message, told);
  assert.match(explain({ kind: 'unresponsive' }, { ...evidence, escaped: 2 }).message, told);
});
