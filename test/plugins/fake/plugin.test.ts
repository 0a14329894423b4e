import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { readFlags } from '../../../src/plugins/fake/engine/flags.ts';
import { fake } from '../../../src/plugins/fake/index.ts';
import { settings, settingTable, withDefaults } from '../../../src/plugins/fake/settings.ts';
import type { Launch } from '../../../src/plugins/engine-plugin.ts';
import { EngineOptionError } from '../../../src/plugins/engine-plugin.ts';
import { requestOf } from '../../support/request.ts';

const launch: Launch = {
  model: { kind: 'reference', value: 'org/name' },
  servedName: '--odd name: 1',
  port: 20_001,
  innerPort: 20_101,
  apiKey: 'secret',
  stopGraceS: 3,
};

test('the command runs the shipped script, with the key in the environment only', () => {
  const { args, env } = fake.configure({ ready_after_s: 2 }).command(launch);
  const [script, ...flags] = args;
  assert.ok(script?.endsWith('engine.ts') && existsSync(script), script);
  assert.deepEqual(flags, [
    '--host',
    '127.0.0.1',
    '--port',
    '20001',
    '--stop-grace-s',
    '3',
    '--served-model-name=--odd name: 1',
    '--ready-after-s=2',
  ]);
  assert.deepEqual(env, { FAKE_API_KEY: 'secret' });
});

const values: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  text: fc.string(),
  boot_error: fc.string(),
  models_id: fc.string(),
  log: fc.array(fc.string(), { minLength: 1 }),
  refuse: fc.array(fc.integer({ min: 400, max: 599 })),
  tokens: fc.nat(1_000_000),
  prefill_s: fc.float({ min: 0, max: 1000, noNaN: true }),
  hang_after_requests: fc.integer({ min: -1, max: 1000 }),
  ignore_sigterm: fc.boolean(),
  exit_at: fc.oneof(fc.constantFrom('never', 'boot'), fc.nat(1000)),
  health: fc.constantFrom('ok', 'lie', 'flap:0.5', 'slow:20'),
  sse: fc.constantFrom('ok', 'cut', 'bigline'),
};

test('whatever the options are, the engine process reads from its flags what the config said', () => {
  fc.assert(
    fc.property(fc.record(values, { requiredKeys: [] }), (options) => {
      const { args } = fake.configure(options).command(launch);
      const read = readFlags(args.slice(1));
      const expected = { ...withDefaults({}), ...options, ...('exit_at' in options ? { exit_at: String(options['exit_at']) } : {}) };
      assert.deepEqual(read, {
        host: '127.0.0.1',
        port: 20_001,
        innerPort: 0,
        servedName: launch.servedName,
        stopGraceS: 3,
        adapters: [],
        settings: expected,
      });
    }),
  );
});

test('every option has a default that is valid itself', () => {
  for (const [name, setting] of settingTable) {
    assert.deepEqual(setting.read(setting.fallback), setting.fallback, name);
  }
});

const bad: readonly (readonly [Record<string, unknown>, RegExp])[] = [
  [{ prefill: 1 }, /^engine_kwargs\.prefill: the fake engine has no option "prefill"; did you mean prefill_s\?$/u],
  [{ TokensPerS: 1 }, /did you mean tokens_per_s\?/u],
  [{ quantization: 'awq' }, /no option "quantization"; its options are listen_after_s, /u],
  [{ prefill_s: -1 }, /^engine_kwargs\.prefill_s: got -1, expected a number from 0 to 86400$/u],
  [{ tokens: 1.5 }, /tokens: got 1\.5, expected a whole number/u],
  [{ ignore_sigterm: 'yes' }, /ignore_sigterm: got "yes", expected true or false/u],
  [{ health: 'flap:2' }, /health: got "flap:2", expected ok, lie, hang, fail, flap:/u],
  [{ exit_at: 'later' }, /exit_at: got "later", expected never, boot or a number of seconds/u],
  [{ sse: 'broken' }, /sse: got "broken", expected one of ok, cut/u],
  [{ refuse: [503, 200] }, /refuse: got \[503,200\], expected a list, each a whole number from 400 to 599/u],
  [{ refuse_all: 200 }, /refuse_all: got 200, expected 0 for none, or a status/u],
  [{ text: 5 }, /text: got 5, expected a string/u],
];
for (const [options, message] of bad) {
  test(`options ${JSON.stringify(options)} are refused`, () => {
    assert.throws(
      () => fake.configure(options),
      (error) => {
        assert.ok(error instanceof EngineOptionError);
        assert.match(error.message, message);
        assert.deepEqual(error.problems[0]?.path, Object.keys(options));
        return true;
      },
    );
  });
}

test('all problems are told at once, and null is no value', () => {
  assert.throws(
    () => fake.configure({ prefill_s: 'x', nope: 1, tokens: null }),
    (error) => error instanceof EngineOptionError && error.problems.length === 2,
  );
});

test('concurrency is the size of the batch', () => {
  assert.equal(fake.configure({}).concurrency, settings.max_num_seqs.fallback);
  assert.equal(fake.configure({ max_num_seqs: 3 }).concurrency, 3);
});

test('requests go on as they came', () => {
  const request = requestOf('chat', '{ "messages": [] }');
  const sent = fake.dialect.toEngine(request, 'attempt');
  assert.equal(sent.path, '/v1/chat/completions');
  assert.equal(sent.body, request.raw);
  assert.equal(fake.dialect.toEngine(requestOf('completions', '{}'), 'attempt').path, '/v1/completions');
});

test('its log tells phases and causes', () => {
  const engine = fake.configure({});
  const kinds = (line: string): unknown => {
    const sign = engine.readLog(line);
    return sign?.kind === 'cause' ? [sign.cause, sign.permanent] : sign?.phase;
  };
  assert.equal(kinds("fake: loading model 'a'"), 'loading model');
  assert.equal(kinds('fake: warming up'), 'warming up');
  assert.equal(kinds('fake: ready'), undefined);
  assert.deepEqual(kinds('torch.OutOfMemoryError: CUDA out of memory. Tried to allocate'), ['out of memory', false]);
  assert.deepEqual(kinds('fake: error: listen EADDRINUSE: address already in use 127.0.0.1:1'), ['port in use', false]);
  assert.deepEqual(kinds('fake: error: invalid argument: port: got "x"'), ['invalid option', true]);
});

test('its metrics page becomes gauges', () => {
  const page =
    '# TYPE fake:requests_running gauge\nfake:requests_running 2\nfake:requests_waiting 1\nfake:tokens_total 99\nfake:steps_total 5\n';
  assert.deepEqual(fake.configure({}).readMetrics(page), { running: 2, waiting: 1, generatedTokens: 99, workDone: 5 });
  assert.deepEqual(fake.configure({}).readMetrics(''), {
    running: undefined,
    waiting: undefined,
    generatedTokens: undefined,
    workDone: undefined,
  });
});
