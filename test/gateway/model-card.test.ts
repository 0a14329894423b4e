import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { adapterName, modelName, replicaId, slot } from '../../src/core/ids.ts';
import type { ReplicaView, RoutingTable } from '../../src/core/table.ts';
import { AdapterNames } from '../../src/gateway/adapter-names.ts';
import { listCards, modelCard } from '../../src/gateway/openai/model-card.ts';
import { fakeModel, startGateway } from '../support/gateway-process.ts';
import { modelEntry } from '../support/model-entry.ts';

const replica = (index: number, adapters: readonly string[]): ReplicaView => ({
  id: replicaId(`r${index}`),
  slot: slot(index),
  index,
  upstream: 'http://127.0.0.1:1',
  apiKey: '',
  maxInFlight: 8,
  adapters: new Map(adapters.map((name) => [adapterName(name), { handle: name }])),
});

const base = modelName('org/m');
const table: RoutingTable = {
  version: 1,
  models: new Map([
    [
      base,
      {
        ...modelEntry({ replicas: [replica(1, ['b', 'team/a']), replica(2, ['b'])] }),
        created: 1_700_000_000,
        lora: true,
        capabilities: { maxModelLen: 2048 },
      },
    ],
  ]),
  apps: new Map([
    [
      '',
      new Map([
        ['org/m', base],
        ['short', base],
      ]),
    ],
    ['/other', new Map()],
  ]),
};

const names = new AdapterNames();
names.set(base, 'later\nteam/a');
const card = (id: string) => modelCard(table, '', id, names);

describe('a model card', () => {
  test("has OpenAI's four members, and what the engine has told", () => {
    assert.deepEqual(card('short'), {
      id: 'short',
      object: 'model',
      created: 1_700_000_000,
      owned_by: 'roundhouse',
      parent: null,
      status: 'ready',
      max_model_len: 2048,
    });
  });

  test('of an adapter names its parent as the client did, and whether it is loaded', () => {
    assert.deepEqual([card('short:team/a').parent, card('short:team/a').status], ['short', 'ready']);
    assert.deepEqual([card('org/m:later').parent, card('org/m:later').status], ['org/m', 'not loaded']);
    assert.throws(() => card('org/m:never'), { code: 'adapter_not_found' });
  });

  test('stands in the list for each id and alias, and once for each adapter that was found or is loaded; only under its own prefix', () => {
    assert.deepEqual(
      listCards(table, '', names).data.map(({ id, parent }) => [id, parent]),
      [
        ['org/m', null],
        ['org/m:later', 'org/m'],
        ['org/m:team/a', 'org/m'],
        ['org/m:b', 'org/m'],
        ['short', null],
      ],
    );
    assert.deepEqual(listCards(table, '/other', names).data, []);
    assert.deepEqual(listCards(table, '/nowhere', names).data, []);
  });
});

const application = (name: string, prefix: string, models: readonly object[]): object => ({
  name,
  route_prefix: prefix,
  import_path: 'ray.serve.llm:build_openai_app',
  args: { llm_configs: models },
});
const shape = (all: readonly object[]): object => ({
  applications: [application('one', '/one', all.slice(0, 1)), application('two', '/two', all.slice(1))],
});

test('applications have their own models below their prefixes; a request that names none goes to the only one there', async (t) => {
  const models = [fakeModel('small', {}, {}, { aliases: ['tiny'] }), fakeModel('big'), fakeModel('bigger')];
  const gateway = await startGateway(t, models, { shape });
  const ids = async (prefix: string): Promise<readonly string[]> =>
    ((await (await fetch(`${gateway.url}${prefix}/v1/models`)).json()) as { data: { id: string }[] }).data.map(({ id }) => id);
  assert.deepEqual(await ids('/one'), ['small', 'tiny']);
  assert.deepEqual(await ids('/two'), ['big', 'bigger']);
  const ask = async (prefix: string, named: object): Promise<{ status: number; body: string }> => {
    const body = JSON.stringify({ messages: [{ role: 'user', content: 'hi' }], ...named });
    const headers = { 'content-type': 'application/json' };
    const reply = await fetch(`${gateway.url}${prefix}/v1/chat/completions`, { method: 'POST', headers, body });
    return { status: reply.status, body: await reply.text() };
  };
  for (const [named, model] of [
    [{}, 'small'],
    [{ model: 'small' }, 'small'],
    [{ model: 'tiny' }, 'tiny'],
  ] as const) {
    const { status, body } = await ask('/one', named);
    assert.deepEqual([status, (JSON.parse(body) as { model: string }).model], [200, model]);
  }
  const unsaid = await ask('/two', {});
  assert.equal(unsaid.status, 400);
  assert.match(unsaid.body, /'model' is missing\. Models served: 'big', 'bigger'\./);
  assert.equal((await ask('/two', { model: 'small' })).status, 404, 'that is the other application’s');
});
