import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Autoscaling } from '../../src/config/config.ts';
import { fake } from '../../src/plugins/fake/index.ts';
import { llamacpp } from '../../src/plugins/llamacpp/index.ts';
import { loadText, problemsOf } from './load-text.ts';

const model = (keys: string): string => `llm_configs:
  - model_loading_config: {model_id: m}
    llm_engine: fake
${keys}`;

function scalingOf(t: TestContext, deployment: string, rest = ''): Autoscaling | undefined {
  return loadText(t, model(`    deployment_config: ${deployment}\n${rest}`)).config.models[0]?.autoscaling;
}

describe('autoscaling_config', () => {
  it('has the defaults of Ray, and a target by what the engine can work on at once', (t) => {
    assert.deepEqual(scalingOf(t, '{autoscaling_config: {max_replicas: 4}}', '    engine_kwargs: {max_num_seqs: 8}\n'), {
      min: 1,
      max: 4,
      initial: 1,
      target: { ongoing: 5.6, source: 'engine' },
      upscalingFactor: 1,
      downscalingFactor: 1,
      upscaleDelayMs: 30_000,
      downscaleDelayMs: 600_000,
      toZero: { kind: 'idle', ms: 600_000 },
      lookBackMs: 30_000,
      aggregation: 'mean',
    });
  });

  it('is followed in every key, times in milliseconds', (t) => {
    const keys =
      'min_replicas: 0, initial_replicas: 2, max_replicas: 9, target_ongoing_requests: 3.5, upscaling_factor: 0.5, downscaling_factor: 0.25, ' +
      'upscale_delay_s: 1.5, downscale_delay_s: 20, downscale_to_zero_delay_s: 90, look_back_period_s: 12, aggregation_function: max';
    assert.deepEqual(scalingOf(t, `{autoscaling_config: {${keys}}}`), {
      min: 0,
      max: 9,
      initial: 2,
      target: { ongoing: 3.5, source: 'config' },
      upscalingFactor: 0.5,
      downscalingFactor: 0.25,
      upscaleDelayMs: 1500,
      downscaleDelayMs: 20_000,
      toZero: { kind: 'delay', ms: 90_000 },
      lookBackMs: 12_000,
      aggregation: 'max',
    });
  });

  it('waits to zero as long as Ray where it gives a delay of Ray', (t) => {
    assert.deepEqual(scalingOf(t, '{autoscaling_config: {min_replicas: 0, downscale_delay_s: 7}}')?.toZero, { kind: 'delay', ms: 7000 });
    assert.deepEqual(scalingOf(t, '{autoscaling_config: {min_replicas: 0}}')?.toZero, { kind: 'idle', ms: 600_000 });
  });

  it('takes the limit of a replica for what it can work on, and never one request for too much', (t) => {
    const limited = '{max_ongoing_requests: 20, autoscaling_config: {max_replicas: 2}}';
    assert.equal(scalingOf(t, limited)?.target.ongoing, 14);
    assert.equal(scalingOf(t, '{max_ongoing_requests: 1, num_replicas: auto}')?.target.ongoing, 1);
  });

  it('still follows the old names, the new ones above them', (t) => {
    const factors = (keys: string): readonly (number | undefined)[] => {
      const scaling = scalingOf(t, `{autoscaling_config: {${keys}}}`);
      return [scaling?.upscalingFactor, scaling?.downscalingFactor];
    };
    assert.deepEqual(factors('smoothing_factor: 0.5'), [0.5, 0.5]);
    assert.deepEqual(factors('smoothing_factor: 0.5, upscale_smoothing_factor: 2'), [2, 0.5]);
    assert.deepEqual(factors('downscale_smoothing_factor: 0.1, downscaling_factor: 0.3'), [1, 0.3]);
  });
});

describe('num_replicas: auto', () => {
  it('is 1 to 100, and what autoscaling_config says beside it', (t) => {
    const bounds = (deployment: string): readonly (number | undefined)[] => {
      const scaling = scalingOf(t, deployment);
      return [scaling?.min, scaling?.initial, scaling?.max];
    };
    assert.deepEqual(bounds('{num_replicas: auto}'), [1, 1, 100]);
    assert.deepEqual(bounds('{num_replicas: auto, autoscaling_config: {min_replicas: 2}}'), [2, 2, 100]);
    assert.deepEqual(bounds('{num_replicas: auto, autoscaling_config: {initial_replicas: 3, max_replicas: 5}}'), [1, 3, 5]);
  });
});

describe('gateway.idle', () => {
  it('lets replicas sleep first, where the engine can', (t) => {
    const { config } = loadText(t, model('    gateway: {idle: {sleep_s: 30, stop_s: 300}}\n'));
    const [{ autoscaling, traits } = assert.fail()] = config.models;
    assert.deepEqual([autoscaling?.sleepMs, autoscaling?.toZero, traits.sleeps], [30_000, { kind: 'idle', ms: 300_000 }, true]);
  });
  for (const [what, entry, message] of [
    ['later than it stops', '    gateway: {idle: {sleep_s: 300, stop_s: 300}}\n', /sleep_s: expected less than stop_s \(300\), got 300/],
    [
      'for an engine that cannot',
      '    gateway: {idle: {sleep_s: 1, stop_s: 300}}\n',
      /sleep_s: llamacpp has no sleep mode that is used here; expected only stop_s/,
    ],
  ] as const) {
    const engine = what === 'for an engine that cannot' ? 'llamacpp' : 'fake';
    const text = model(entry).replace('llm_engine: fake', `llm_engine: ${engine}`);
    it(`refuses to let it sleep ${what}`, (t) =>
      assert.throws(() => loadText(t, text, { engines: new Map([fake, llamacpp].map((each) => [each.name, each])) }), message));
  }

  it('alone makes a model run on demand', (t) => {
    const { config } = loadText(t, model('    deployment_config: {num_replicas: 2}\n    gateway: {idle: {stop_s: 300}}\n'));
    const [{ replicas, autoscaling } = assert.fail('no model')] = config.models;
    assert.equal(replicas, 0);
    assert.deepEqual([autoscaling?.min, autoscaling?.max, autoscaling?.toZero], [0, 2, { kind: 'idle', ms: 300_000 }]);
  });

  it('goes before the delay of Ray for more than one', (t) => {
    const scaling = scalingOf(t, '{autoscaling_config: {min_replicas: 0, downscale_delay_s: 7}}', '    gateway: {idle: {stop_s: 1}}\n');
    assert.deepEqual([scaling?.downscaleDelayMs, scaling?.toZero], [7000, { kind: 'idle', ms: 1000 }]);
  });

  for (const [what, scaling, message] of [
    ['a minimum', '{min_replicas: 1}', /no effect beside min_replicas 1; expected min_replicas: 0/],
    ["Ray's delay", '{min_replicas: 0, downscale_to_zero_delay_s: 3}', /beside downscale_to_zero_delay_s; expected only one of them/],
  ] as const) {
    it(`is refused beside ${what}`, (t) => {
      const text = model(`    deployment_config: {autoscaling_config: ${scaling}}\n    gateway: {idle: {stop_s: 1}}\n`);
      const problems = problemsOf(() => loadText(t, text));
      assert.equal(problems.length, 1);
      assert.match(problems[0]?.message ?? '', message);
    });
  }

  it('is undefined for a fixed number', (t) => assert.equal(scalingOf(t, '{num_replicas: 3}'), undefined));
});
