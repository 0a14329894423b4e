import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { describe, test } from 'node:test';
import type { GatewayMetrics } from '../../src/gateway/metrics.ts';
import { chat, dataPlane, event, eventually, scriptedEngine } from '../support/data-plane.ts';

const ok = (response: ServerResponse): void => {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end('{}');
};
const refuse = (response: ServerResponse, status: number): void => {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ error: { message: `status ${status}` } }));
};

/** Requests that have waited, by what for. */
async function waits(metrics: GatewayMetrics): Promise<readonly (readonly [string, number])[]> {
  const all = (await metrics.snapshot()) as {
    name: string;
    values: { metricName?: string; labels: { phase?: string }; value: number }[];
  }[];
  const { values } = all.find(({ name }) => name === 'roundhouse_wait_seconds') ?? { values: [] };
  return values
    .filter(({ metricName }) => metricName?.endsWith('_count') === true)
    .map(({ labels, value }) => [labels.phase ?? '', value] as const);
}

describe('trust in a replica', () => {
  test('one that fails is passed over after five failures, while another works', async (t) => {
    const broken = await scriptedEngine(t, (_request, response) => refuse(response, 500));
    const working = await scriptedEngine(t, (_request, response) => ok(response));
    const gateway = await dataPlane(t, [broken, working]);
    const statuses: number[] = [];
    for (let request = 0; request < 60; request += 1) statuses.push((await gateway.post(chat())).status);
    assert.equal(broken.bodies.length, 5);
    assert.deepEqual(statuses.filter((status) => status !== 200).length, 5);
  });

  test('the last one gets every request, however it fails', async (t) => {
    const broken = await scriptedEngine(t, (_request, response) => refuse(response, 500));
    const gateway = await dataPlane(t, [broken]);
    for (let request = 0; request < 20; request += 1) assert.equal((await gateway.post(chat())).status, 500);
    assert.equal(broken.bodies.length, 20);
  });

  test('a storm of client mistakes breaks nothing', async (t) => {
    const strict = await scriptedEngine(t, (_request, response) => refuse(response, 400));
    const other = await scriptedEngine(t, (_request, response) => refuse(response, 400));
    const gateway = await dataPlane(t, [strict, other]);
    for (let request = 0; request < 40; request += 1) assert.equal((await gateway.post(chat())).status, 400);
    assert.deepEqual([strict.bodies.length, other.bodies.length], [20, 20]);
  });

  test('streams that break with an error inside count as failures', async (t) => {
    const broken = await scriptedEngine(t, (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(event({ choices: [] }) + event({ error: { message: 'CUDA error' } }) + event('[DONE]'));
    });
    const working = await scriptedEngine(t, (_request, response) => ok(response));
    const gateway = await dataPlane(t, [broken, working]);
    for (let request = 0; request < 40; request += 1) await (await gateway.post(chat({ stream: true }))).text();
    assert.equal(broken.bodies.length, 5);
  });
});

describe('the receipt', () => {
  test('says which replica and why, where that is asked for', async (t) => {
    const engine = await scriptedEngine(t, (_request, response) => ok(response));
    const told = await (await dataPlane(t, [engine], { debugHeaders: true })).post(chat());
    assert.match(told.headers.get('x-gateway-replica') ?? '', /^r0@/);
    assert.equal(told.headers.get('x-gateway-reason'), 'only-one');
    const untold = await (await dataPlane(t, [engine])).post(chat());
    assert.equal(untold.headers.get('x-gateway-replica'), null);
  });

  test('says its place and wait to one that waited, and counts no wait as overhead', async (t) => {
    const engine = await scriptedEngine(t, (_request, response) => ok(response));
    const gateway = await dataPlane(t, []);
    const replies = [gateway.post(chat()), gateway.post(chat())];
    await eventually(() => gateway.waiting() === 2, 'both wait');
    gateway.setReplicas([engine]);
    const [first, second] = await Promise.all(replies);
    const places = new Set([first, second].map((reply) => reply?.headers.get('x-gateway-queue-position')));
    assert.deepEqual(places, new Set(['1', '2']));
    assert.match(first?.headers.get('x-gateway-queue-wait-ms') ?? '', /^\d+$/);
    assert.match(first?.headers.get('server-timing') ?? '', /^queue;dur=0\.00, route;dur=\d+\.\d\d, cold;dur=\d+\.\d\d, upstream;/);
    const metrics = JSON.stringify(await gateway.metrics.snapshot());
    assert.match(metrics, /"roundhouse_gateway_overhead_seconds"/);
    const straight = await gateway.post(chat());
    await straight.text();
    assert.deepEqual(await waits(gateway.metrics), [['cold', 2]], 'one that waited for nothing is not counted');
    assert.equal(straight.headers.get('x-gateway-queue-position'), null);
  });
});
