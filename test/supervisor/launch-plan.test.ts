import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Autoscaling, ModelConfig } from '../../src/config/config.ts';
import { engines } from '../../src/plugins/registry.ts';
import type { GpuDevice } from '../../src/supervisor/gpus/devices.ts';
import type { GpuHold, GpuPool } from '../../src/supervisor/gpus/place.ts';
import { planLaunch } from '../../src/supervisor/launch-plan.ts';
import type { LaunchPlan, StandingReplica } from '../../src/supervisor/launch-plan.ts';
import { replicaPlan } from '../../src/supervisor/replica-plan.ts';
import { model } from './support/model.ts';

function gpu(index: number): GpuDevice {
  const card = { vendor: 'nvidia', name: 'NVIDIA L4', memoryBytes: 24_000_000_000, usedBytes: 0, partition: false } as const;
  return { ...card, id: `GPU-${index}`, index, busId: `00000000:${index + 16}:00.0` };
}

interface Machine {
  readonly gpus?: number;
  readonly holds?: readonly GpuHold[];
  readonly standing?: readonly StandingReplica[];
  readonly pool?: Partial<GpuPool>;
}

function planOf(models: readonly ModelConfig[], { gpus = 0, holds = [], standing = [], pool = {} }: Machine = {}): LaunchPlan {
  const devices = Array.from({ length: gpus }, (_, index) => gpu(index));
  return planLaunch({
    config: { enginePorts: { first: 20_000, count: 10 }, stateDir: '/state', cache: { dir: '/cache', maxBytes: undefined } },
    plans: models.map((each) => replicaPlan(each, new Map(), engines)),
    executables: new Map(),
    env: { PATH: '/bin', HOME: '/root', SECRET_OF_THE_GATEWAY: 's' },
    gpus: { devices, pool: { devices, quarantined: new Map(), acceleratorMatch: 'warn', ...pool }, holds, problem: undefined },
    standing,
  });
}

/** Each replica with its GPUs, e.g. `a-0 0,1`; `a-0!` runs already; a place after a drain in brackets. */
function said({ replicas }: LaunchPlan): string[] {
  return replicas.map((replica) => {
    const name = `${replica.replica}${replica.running ? '!' : ''}`;
    if (replica.kind === 'upstream') return `${name} ${replica.url}`;
    switch (replica.gpus.kind) {
      case 'none':
        return `${name} -`;
      case 'held':
        return `${name} ${replica.gpus.labels.join()}`;
      case 'placed':
        return replica.gpus.when === 'now' ? `${name} ${replica.gpus.labels.join()}` : `${name} (${replica.gpus.labels.join()})`;
      case 'unplaced':
        return `${name} ${replica.gpus.reason}`;
    }
  });
}

const vllm = (name: string, gpus: number, over: Partial<ModelConfig> = {}): ModelConfig =>
  model({ ...over, name, engine: 'vllm', engineOptions: { tensor_parallel_size: gpus, ...over.engineOptions } });

/** A replica that a gateway runs by this config. */
const runs = (of: ModelConfig, index: number, leaving = false): StandingReplica => ({
  model: of.name,
  index,
  fingerprint: replicaPlan(of, new Map(), engines).fingerprint,
  leaving,
});
const hold = (holder: string, device: number): GpuHold => ({ holder, device: `GPU-${device}`, share: 1 });

test('each replica has its command, the names of its environment, and its GPUs', () => {
  const plan = planOf([vllm('a', 2, { env: { HF_TOKEN: 'hf_secret' } })], { gpus: 2 });
  const [replica] = plan.replicas;
  assert.ok(replica?.kind === 'process');
  assert.deepEqual(replica.argv.slice(0, 7), ['vllm', 'serve', 'none', '--host', '127.0.0.1', '--port', '<port>']);
  assert.match(replica.argv.join(' '), /--served-model-name a .*--tensor-parallel-size 2/);
  for (const key of ['CUDA_VISIBLE_DEVICES', 'VLLM_API_KEY', 'HF_TOKEN']) assert.ok(replica.environment.set.includes(key), key);
  assert.deepEqual(replica.environment.inherited, ['HOME', 'PATH']);
  assert.deepEqual(replica.gpus, { kind: 'placed', labels: ['0', '1'], when: 'now' });
  assert.deepEqual(plan.ports, { first: 20_000, last: 20_009 });
  assert.ok(!JSON.stringify(plan).includes('hf_secret'));
});

test('what cannot be placed is told why: who holds what, or what the machine lacks', () => {
  const plan = planOf([vllm('a', 1, { replicas: 3 }), vllm('b', 4), model({ name: 'c' })], { gpus: 2 });
  assert.deepEqual(said(plan), [
    'a-0 0',
    'a-1 1',
    'a-2 waiting for a GPU: 0 held by a-0, 1 held by a-1',
    'b-0 needs 4 GPUs, there are 2 to use',
    'c-0 -',
  ]);
  assert.deepEqual(
    plan.gpus.map(({ label, holders }) => [label, ...holders]),
    [
      ['0', 'a-0'],
      ['1', 'a-1'],
    ],
  );
});

test('on a machine without a GPU all is planned still, and an engine that can goes without', () => {
  assert.deepEqual(said(planOf([vllm('a', 1), model({ name: 'b', engine: 'llamacpp', engineOptions: { n_gpu_layers: 99 } })])), [
    'a-0 needs 1 GPU, there is none to use',
    'b-0 -',
  ]);
});

test('of a model that sleeps the replica is shown that its first request would start, and no GPU is kept for it', () => {
  const autoscaling: Autoscaling = {
    min: 0,
    max: 2,
    initial: 0,
    target: { ongoing: 2, source: 'config' },
    upscalingFactor: 1,
    downscalingFactor: 1,
    upscaleDelayMs: 0,
    downscaleDelayMs: 0,
    toZero: { kind: 'idle', ms: 1000 },
    lookBackMs: 1000,
    aggregation: 'mean',
  };
  const plan = planOf([vllm('a', 1, { replicas: 0, autoscaling }), vllm('b', 1)], { gpus: 1 });
  assert.deepEqual(said(plan), ['a-0 -', 'b-0 0']);
  assert.deepEqual(
    plan.replicas.map((replica) => replica.kind === 'process' && replica.asleep),
    [true, false],
  );
  assert.deepEqual(plan.scaling, [{ model: 'a', rule: autoscaling }]);
});

test('upstreams are named, and need nothing', () => {
  const upstreams = ['http://a:1', 'http://b:1'].map((url) => ({ url, keyFile: undefined, caFile: undefined }));
  assert.deepEqual(said(planOf([vllm('a', 1, { upstreams })])), ['a-0 http://a:1', 'a-1 http://b:1']);
});

test('what runs and does not change keeps its GPUs; what is new gets others', () => {
  const a = vllm('a', 1);
  const machine = { gpus: 2, holds: [hold('a-3', 1)], standing: [runs(a, 3)] };
  assert.deepEqual(said(planOf([{ ...a, replicas: 2 }], machine)), ['a-3! 1', 'a-0 0']);
});

test('a changed model gets other GPUs where there are free ones, and else its own again', () => {
  const [before, after] = [vllm('a', 1), vllm('a', 1, { engineOptions: { seed: 1 } })];
  const machine = { holds: [hold('a-0', 0)], standing: [runs(before, 0)] };
  const free = planOf([after], { ...machine, gpus: 2 });
  assert.deepEqual(said(free), ['a-1 1']);
  assert.deepEqual(free.leaving, [{ replica: 'a-0', model: 'a', gpus: ['0'] }]);
  assert.deepEqual(said(planOf([after], { ...machine, gpus: 1 })), ['a-1 (0)']);
});

test('the GPUs of a removed model, and of replicas too many, are free for others', () => {
  const [a, b] = [vllm('a', 1), vllm('b', 1)];
  const machine = { gpus: 2, holds: [hold('a-0', 0), hold('a-1', 1)], standing: [runs(a, 0), runs(a, 1)] };
  assert.deepEqual(said(planOf([b], machine)), ['b-0 0']);
  assert.deepEqual(said(planOf([a, b], machine)), ['a-0! 0', 'b-0 1']);
});

test('a replica that leaves anyway is not counted on, and its index is not given again', () => {
  const a = vllm('a', 1);
  assert.deepEqual(said(planOf([a], { gpus: 1, holds: [hold('a-0', 0)], standing: [runs(a, 0, true)] })), ['a-1 0']);
});

test('no GPU is planned for two replicas that do not share it, whatever runs', () => {
  const models = fc.uniqueArray(
    fc.record({ name: fc.constantFrom('a', 'b', 'c'), gpus: fc.integer({ min: 1, max: 3 }), replicas: fc.nat(3) }),
    {
      selector: ({ name }) => name,
    },
  );
  fc.assert(
    fc.property(models, fc.nat(6), fc.nat(3), (wanted, gpus, running) => {
      const old = vllm('a', 1, { engineOptions: { seed: 7 } });
      const standing = Array.from({ length: Math.min(running, gpus) }, (_, index) => runs(old, index));
      const holds = standing.map(({ index }) => hold(`a-${index}`, index));
      const plan = planOf(
        wanted.map(({ name, gpus: size, replicas }) => vllm(name, size, { replicas })),
        { gpus, holds, standing },
      );
      for (const { holders } of plan.gpus) assert.ok(holders.length <= 1, holders.join());
      const count = wanted.reduce((sum, { replicas }) => sum + replicas, 0);
      assert.equal(new Set(plan.replicas.map(({ replica }) => replica)).size, count);
    }),
  );
});
