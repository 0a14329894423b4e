import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GatewayError } from '../../src/core/errors.ts';
import { adapterName, modelName, slot } from '../../src/core/ids.ts';
import { emptyTable } from '../../src/core/table.ts';
import type { RoutingTable } from '../../src/core/table.ts';
import { resolveModel } from '../../src/gateway/openai/model-name.ts';
import { chat, dataPlane, eventually, model, scriptedEngine } from '../support/data-plane.ts';
import { modelEntry } from '../support/model-entry.ts';

const echo = (t: Parameters<typeof scriptedEngine>[0], name: string): ReturnType<typeof scriptedEngine> =>
  scriptedEngine(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ from: name }));
  });

describe('a name of a model with an adapter', () => {
  const names = ['plain', 'org/m', 'org/m:v2', 'alias'];
  const table: RoutingTable = {
    ...emptyTable,
    models: new Map(names.map((name) => [modelName(name), modelEntry({ lora: name !== 'plain' })])),
    apps: new Map([['', new Map(names.map((name) => [name, modelName(name === 'alias' ? 'org/m' : name)]))]]),
  };
  const cases: readonly [string, object][] = [
    ['org/m', { model: 'org/m' }],
    ['org/m:a', { model: 'org/m', adapter: 'a' }],
    ['org/m:v2', { model: 'org/m:v2' }],
    ['org/m:v2:a', { model: 'org/m:v2', adapter: 'a' }],
    ['alias:team/a@rev.1', { model: 'org/m', adapter: 'team/a@rev.1' }],
    ['plain:a', { code: 'adapter_not_found', param: 'model' }],
    ['org:a', { code: 'model_not_found' }],
    ['nope:org/m', { code: 'model_not_found' }],
    ...['', '../x', 'a/../b', '..', 'a/b/c', '/a', 'a\\b', 'a%2e', 'a b', 'ä', 'a@', '@r', 'a@r@s', 'x'.repeat(97), `a:b`].map(
      (bad): [string, object] => [`org/m:${bad}`, { code: 'adapter_not_found' }],
    ),
  ];
  for (const [requested, expected] of cases) {
    test(`${JSON.stringify(requested.slice(0, 40))} is ${JSON.stringify(expected)}`, () => {
      if ('code' in expected) assert.throws(() => resolveModel(table, '', requested), expected);
      else assert.deepEqual(resolveModel(table, '', requested), expected);
    });
  }
});

describe('requests for an adapter', () => {
  test('go only to replicas that have it, and are counted on it; those for the base go anywhere', async (t) => {
    const [first, second] = [await echo(t, 'first'), await echo(t, 'second')];
    const gateway = await dataPlane(t, [{ url: first.url }, { url: second.url, adapters: { a: 'a.1' } }], { lora: true });
    for (let round = 0; round < 4; round += 1) {
      const response = await gateway.post(chat({ model: `${model}:a` }));
      assert.deepEqual(await response.json(), { from: 'second' });
    }
    const asked = JSON.parse(second.bodies[0] ?? '') as { adapter: string };
    assert.equal(asked.adapter, 'a.1', 'the engine is asked for the handle');
    for (let round = 0; round < 4; round += 1) await (await gateway.post(chat())).arrayBuffer();
    assert.ok(first.bodies.length > 0);
    await eventually(() => gateway.board.read(slot(40)) === 0, 'nothing is counted on the adapter');
    assert.equal(gateway.board.readProgress(slot(40)), 4);
    assert.deepEqual(gateway.demands, []);
  });

  test('wait until a replica has it, and say so; then they are served in order', async (t) => {
    const engine = await echo(t, 'engine');
    const gateway = await dataPlane(t, [engine], { lora: true });
    const waiting = [gateway.post(chat({ model: `${model}:a` })), gateway.post(chat({ model: `${model}:a` }))];
    await eventually(() => gateway.waiting() === 2, 'both wait');
    assert.equal((await gateway.post(chat())).status, 200, 'the base is not held up');
    gateway.setReplicas([{ url: engine.url, adapters: { a: 'a.1' } }]);
    for (const response of await Promise.all(waiting)) assert.equal(response.status, 200);
    assert.deepEqual(gateway.demands, [
      { model, adapter: 'a', waiting: true },
      { model, adapter: 'a', waiting: false },
    ]);
  });

  test('are refused in the words of whoever knows that it will not come', async (t) => {
    const gateway = await dataPlane(t, [await echo(t, 'engine')], { lora: true });
    const waiting = gateway.post(chat({ model: `${model}:a` }));
    await eventually(() => gateway.waiting() === 1, 'it waits');
    gateway.room.refuse(
      modelName(model),
      adapterName('a'),
      new GatewayError('adapter_not_found', 'There is no adapter "a".', { param: 'model' }),
    );
    const response = await waiting;
    assert.equal(response.status, 404);
    assert.deepEqual(await response.json(), {
      error: { message: 'There is no adapter "a".', type: 'invalid_request_error', param: 'model', code: 'adapter_not_found' },
    });
    assert.equal(gateway.waiting(), 0);
  });
});

const idsOf = (list: unknown): string[] => (list as { data: { id: string }[] }).data.map(({ id }) => id);

describe('the list of models', () => {
  test('has every adapter that was found or is loaded, once, with its parent', async (t) => {
    const engine = await echo(t, 'engine');
    const gateway = await dataPlane(t, [{ url: engine.url, adapters: { b: 'b.1', 'b@main': 'b.2' } }], { lora: true, aliases: ['alias'] });
    gateway.adapterNames.set(modelName(model), 'a\nb\nc');
    const list: unknown = await (await fetch(`${gateway.url}/v1/models`)).json();
    assert.deepEqual(idsOf(list), [model, ...['a', 'b', 'c', 'b@main'].map((name) => `${model}:${name}`), 'alias']);
    const card = (name: string): Promise<Response> => fetch(`${gateway.url}/v1/models/${model}:${name}`);
    const [loaded, known] = (await Promise.all([(await card('b')).json(), (await card('a')).json()])) as Record<string, unknown>[];
    assert.deepEqual([loaded?.['id'], loaded?.['parent'], loaded?.['status']], [`${model}:b`, model, 'ready']);
    assert.deepEqual([known?.['parent'], known?.['status']], [model, 'not loaded']);
    assert.equal(((await (await fetch(`${gateway.url}/v1/models/alias:a`)).json()) as { parent: string }).parent, 'alias');
    const unknown = await card('d');
    assert.equal(unknown.status, 404);
    assert.equal(((await unknown.json()) as { error: { code: string } }).error.code, 'adapter_not_found');
    gateway.adapterNames.set(modelName(model), '');
    assert.deepEqual(idsOf(await (await fetch(`${gateway.url}/v1/models`)).json()), [model, `${model}:b`, `${model}:b@main`, 'alias']);
  });
});
