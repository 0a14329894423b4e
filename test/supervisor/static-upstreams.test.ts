import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { modelName, replicaId } from '../../src/core/ids.ts';
import type { ModelConfig, StaticUpstream } from '../../src/config/config.ts';
import { Upstreams } from '../../src/gateway/upstreams.ts';
import { startFake } from '../support/fake-engine.ts';
import type { FakeEngine } from '../support/fake-engine.ts';
import { model } from './support/model.ts';
import { isAlive, real } from './support/real.ts';
import type { Real } from './support/real.ts';

const tls = (name: string): string => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url));

const served = (upstreams: readonly StaticUpstream[], over: Partial<Omit<ModelConfig, 'name'>> = {}): ModelConfig =>
  model({ ...over, name: 'fake-model', upstreams });
const views = ({ table }: Real) => table().models.get(modelName('fake-model'))?.replicas ?? [];

async function dir(t: TestContext): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'roundhouse-static-'));
  t.after(() => rm(made, { recursive: true, force: true }));
  return made;
}

async function upstreamOf(t: TestContext, { url, apiKey }: FakeEngine): Promise<StaticUpstream> {
  const keyFile = join(await dir(t), 'key');
  await writeFile(keyFile, `${apiKey}\n`);
  return { url, keyFile, caFile: undefined };
}

test('engines that others run are routed to, one replica each, and left alone at the end', async (t) => {
  const engines = [await startFake({}, t), await startFake({}, t)];
  const upstreams = await Promise.all(engines.map((engine) => upstreamOf(t, engine)));
  const gateway = await real(t);
  gateway.apply(served(upstreams, { replicas: 7 }));
  const found = await gateway.until(() => views(gateway).length === 2 && views(gateway));
  assert.deepEqual(found.map(({ upstream }) => upstream).sort(), engines.map(({ url }) => url).sort());
  assert.deepEqual(
    found.map(({ apiKey }) => apiKey),
    engines.map(({ apiKey }) => apiKey),
  );
  assert.equal(gateway.report('fake-model')?.desired, 2);
  await gateway.supervisor.stop(0, new AbortController().signal);
  assert.ok(engines.every(({ pid }) => isAlive(pid)));
  assert.equal((await engines[0]?.fetch('/v1/models'))?.status, 200);
});

test('an upstream that stops answering is withdrawn, in words of its own, and comes back', async (t) => {
  const engine = await startFake({}, t);
  const gateway = await real(t, {
    restart: { firstDelayMs: 10, longestDelayMs: 20, healthyAfterMs: 1, startsPerWindow: 2, windowMs: 60_000 },
  });
  gateway.apply(served([await upstreamOf(t, engine)], { health: { periodMs: 20, timeoutMs: 1000 }, startupTimeoutMs: 200 }));
  await gateway.until(() => views(gateway).length === 1);
  await engine.control({ health: 'fail' });
  await gateway.until(() => views(gateway).length === 0);
  await gateway.until(() => gateway.replica(0, 'fake-model')?.lastError);
  assert.match(
    gateway.replica(0, 'fake-model')?.lastError?.message ?? '',
    new RegExp(`^${engine.url} stopped answering its health probe .*503\\)$`),
  );
  await gateway.until(() => gateway.replica(0, 'fake-model')?.lastError?.code === 'start_timeout');
  // More failures than would be a crash loop of an engine of our own.
  await gateway.until(() => (gateway.replica(0, 'fake-model')?.restarts ?? 0) >= 4);
  assert.notEqual(gateway.replica(0, 'fake-model')?.state, 'crash-loop');
  await engine.control({ health: 'ok' });
  await gateway.until(() => views(gateway).length === 1);
  assert.ok(isAlive(engine.pid));
});

test('a wrong key, and a key file that is not there, are told', async (t) => {
  const engine = await startFake({}, t);
  const keyFile = join(await dir(t), 'key');
  const gateway = await real(t);
  gateway.apply(served([{ url: engine.url, keyFile, caFile: undefined }]));
  await gateway.until(() => gateway.replica(0, 'fake-model')?.lastError);
  assert.match(gateway.replica(0, 'fake-model')?.lastError?.message ?? '', new RegExp(`^${keyFile}: cannot be read: .*key_file`));
  await writeFile(keyFile, 'wrong');
  await gateway.until(() => gateway.replica(0, 'fake-model')?.lastError?.code === 'model_mismatch');
  assert.match(gateway.replica(0, 'fake-model')?.lastError?.message ?? '', /refuses our key/);
  await writeFile(keyFile, engine.apiKey);
  await gateway.until(() => views(gateway).length === 1);
});

test('another list of upstreams: the new ones take over from those that are gone', async (t) => {
  const engines = [await startFake({}, t), await startFake({}, t), await startFake({}, t)];
  const [first, second, third] = await Promise.all(engines.map((engine) => upstreamOf(t, engine)));
  assert.ok(first && second && third);
  const gateway = await real(t);
  gateway.apply(served([first, second]));
  await gateway.until(() => views(gateway).length === 2);
  gateway.apply(served([second, third]));
  const urls = (): string =>
    views(gateway)
      .map(({ upstream }) => upstream)
      .sort()
      .join();
  await gateway.until(() => urls() === [second.url, third.url].sort().join());
});

/** An https server with a certificate of our own authority. */
async function secure(t: TestContext): Promise<string> {
  const server = createServer({ cert: readFileSync(tls('server.pem')), key: readFileSync(tls('server.key')) }, (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ data: [{ id: 'fake-model' }] }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('https is verified: by ca_file it is trusted, by probes and by the data plane; without it is not', async (t) => {
  const url = await secure(t);
  const gateway = await real(t);
  gateway.apply(served([{ url, keyFile: undefined, caFile: undefined }], { startupTimeoutMs: 300 }));
  await gateway.until(() => gateway.replica(0, 'fake-model')?.lastError);
  assert.match(gateway.replica(0, 'fake-model')?.lastError?.message ?? '', /last probe: GET \/health: .*certificate/);
  gateway.apply(served([{ url, keyFile: undefined, caFile: tls('ca.pem') }]));
  const [view] = await gateway.until(() => views(gateway).length === 1 && views(gateway));
  assert.ok(view);
  assert.equal(view.apiKey, '');
  const upstreams = new Upstreams();
  t.after(() => upstreams.destroy());
  const { statusCode, body } = await upstreams.poolOf(view).request({ path: '/', method: 'GET' });
  await body.dump();
  assert.equal(statusCode, 200);
  const { ca: _, ...rest } = view;
  const untrusting = { ...rest, id: replicaId('other') };
  await assert.rejects(upstreams.poolOf(untrusting).request({ path: '/', method: 'GET' }), /certificate/);
});
