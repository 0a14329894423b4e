import assert from 'node:assert/strict';
import { test } from 'node:test';
import { neverPlaced, withoutGpus } from '../../src/app/offline-plan.ts';
import { engines } from '../../src/plugins/registry.ts';
import { loadText } from '../config/load-text.ts';
import { plannedOn } from '../support/planned.ts';

const text = `llm_configs:
  - model_loading_config: {model_id: a}
    deployment_config: {num_replicas: 3}
  - model_loading_config: {model_id: b}
    engine_kwargs: {tensor_parallel_size: 4}
  - model_loading_config: {model_id: c}
    llm_engine: fake
`;

test('a model whose replicas have no GPU on this machine is told once, with its place and the reason', async (t) => {
  const loaded = loadText(t, text, { engines });
  const warnings = withoutGpus(loaded, await plannedOn(2, loaded.config));
  assert.deepEqual(
    warnings.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`),
    ['2:5 llm_configs[0]: 1 of 3 replicas would have no GPU on this machine: a-2: waiting for a GPU: 0 held by a-0, 1 held by a-1'],
  );
  assert.deepEqual(
    neverPlaced(loaded, await plannedOn(2, loaded.config)).map(
      ({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`,
    ),
    [
      '4:5 llm_configs[1]: its replica can never start on this machine: b-0: needs 4 GPUs, there are 2 to use; expected at most what gateway.gpus and CUDA_VISIBLE_DEVICES leave',
    ],
  );
});

test('nothing is said where there is room, no GPU, or a driver that does not answer', async (t) => {
  const loaded = loadText(t, text, { engines });
  assert.deepEqual(withoutGpus(loaded, await plannedOn(7, loaded.config)), []);
  assert.deepEqual(withoutGpus(loaded, await plannedOn(0, loaded.config)), []);
  assert.deepEqual(neverPlaced(loaded, await plannedOn(0, loaded.config)), []);
  assert.deepEqual(neverPlaced(loaded, await plannedOn(7, loaded.config)), []);
  const crowded = await plannedOn(1, loaded.config);
  assert.deepEqual([withoutGpus(loaded, crowded).length, neverPlaced(loaded, crowded).length], [1, 1]);
  for (const told of [withoutGpus, neverPlaced]) assert.deepEqual(told(loaded, { ...crowded, gpuProblem: 'no answer' }), []);
});

test('each GPU that gateway.gpus names and the machine does not have is told, with its place; also where none is left', async (t) => {
  const told = async (gpus: string): Promise<readonly string[]> => {
    const loaded = loadText(t, `${text}gateway:\n  gpus: ${gpus}\n`, { engines });
    const launch = await plannedOn(7, loaded.config);
    return [...withoutGpus(loaded, launch), ...neverPlaced(loaded, launch)].map(
      ({ line, column, message }) => `${line}:${column} ${message}`,
    );
  };
  assert.deepEqual(await told('[0, 1, 2, 3, 4, 5, 6]'), []);
  const none = await told('[7, 9]');
  assert.deepEqual(none.slice(0, 2), [
    '9:10 this machine has no GPU 7; there are 0, 1, 2, 3, 4, 5, 6',
    '9:13 this machine has no GPU 9; there are 0, 1, 2, 3, 4, 5, 6',
  ]);
  assert.match(none[2] ?? '', /^2:5 3 of 3 replicas can never start on this machine: a-0: needs 1 GPU/u);
});
