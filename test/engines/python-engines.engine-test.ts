import assert from 'node:assert/strict';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { modelName } from '../../src/core/ids.ts';
import { failing, inLines } from '../engine/openai-checks/failing.ts';
import { keepReport } from '../support/conformance-report.ts';
import { type GatewayProcess, tempDir } from '../support/gateway-process.ts';
import { processesOf } from '../support/processes.ts';
import { requestOf } from '../support/request.ts';
import { until } from '../support/until.ts';
import { conform, engines, type EngineUnderTest, maxAdaptersPerReplica, model, reportOn, skipMissing, startOn } from './support/engines.ts';

const adapters = fileURLToPath(new URL('../fixtures/models/', import.meta.url));

const ask = (content: string, more: object = {}): object => ({ model, messages: [{ role: 'user', content }], temperature: 0, ...more });

interface Direct {
  readonly base: string;
  ask(path: string, body?: object | Uint8Array): Promise<Response>;
}

/** The engine itself, behind the gateway: for what the gateway does not do by request. */
async function direct(gateway: GatewayProcess): Promise<Direct> {
  const pid = await serverPid(gateway);
  const args = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
  const environment = (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0');
  const after = (flag: string): string => args[args.indexOf(flag) + 1] ?? assert.fail(flag);
  const fromEnvironment = environment.find((entry) => /^\w+_API_KEY=/.test(entry))?.split('=')[1];
  const key = fromEnvironment ?? after('--api-key');
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  return {
    base: after('--served-model-name'),
    ask: (path, body) =>
      fetch(
        `http://127.0.0.1:${after('--port')}${path}`,
        body === undefined ? { headers } : { method: 'POST', headers, body: body instanceof Uint8Array ? body : JSON.stringify(body) },
      ),
  };
}

const serverPid = async (gateway: GatewayProcess): Promise<number> => (await gateway.status())[0]?.replicas[0]?.pid ?? assert.fail();

/** Resolves when it is ready after so many restarts: the terminal says so each time. */
async function readyAgain(gateway: GatewayProcess, restarts: number): Promise<void> {
  await gateway.printed(new RegExp(`(?:${model}: ready[\\s\\S]*){${restarts + 1}}`));
  assert.equal((await gateway.status())[0]?.replicas[0]?.restarts, restarts);
}

/** Adapters that cannot be loaded: without weights, and of a rank above the `max_lora_rank` of 8. */
async function badAdapters(t: TestContext): Promise<{ readonly empty: string; readonly tooBig: string }> {
  const dir = await tempDir(t);
  const config = await readFile(`${adapters}pirate/adapter_config.json`, 'utf8');
  const [empty, tooBig] = [join(dir, 'empty'), join(dir, 'too-big')];
  await cp(`${adapters}pirate`, tooBig, { recursive: true });
  await writeFile(join(tooBig, 'adapter_config.json'), JSON.stringify({ ...(JSON.parse(config) as object), r: 64 }));
  await mkdir(empty);
  await writeFile(join(empty, 'adapter_config.json'), config);
  return { empty, tooBig };
}

async function checkAdapters(t: TestContext, { plugin, kwargs }: EngineUnderTest, real: Direct): Promise<void> {
  const { lora } = plugin.configure(kwargs, { lora: { maxAdaptersPerReplica } });
  assert.equal(lora?.kind, 'dynamic');
  const load = async (handle: string, path: string): Promise<unknown> => {
    const call = lora.load({ handle, path });
    const reply = await real.ask(call.path, call.body);
    const answer = lora.readLoaded(reply.status, await reply.text());
    return answer.kind === 'refused' ? `${answer.status}: ${answer.message}` : answer.kind;
  };
  const resident = async (): Promise<readonly string[]> => lora.readResident(await (await real.ask(lora.resident.path)).json());
  const said = async (handle?: string): Promise<string> => {
    const asked = handle === undefined ? model : `${model}:adapter`;
    const body = JSON.stringify({ ...ask('Tell me about horses.', { max_tokens: 8 }), model: asked });
    const request = { ...requestOf('chat', body), model: modelName(model), requestedModel: asked };
    const sent = plugin.dialect.toEngine(request, `attempt-${Math.random()}`, handle);
    const reply = Buffer.from(await (await real.ask(sent.path, sent.body)).arrayBuffer());
    return (plugin.dialect.mend?.(request)?.whole(reply) ?? reply).toString();
  };
  const { empty, tooBig } = await badAdapters(t);
  assert.match(String(await load('bad', `${adapters}none-such`)), /^404: /);
  assert.match(String(await load('bad', empty)), /^40[04]: /);
  assert.match(String(await load('bad', tooBig)), /^400: .*rank/);
  for (const handle of ['pirate-1', 'shout', 'shout']) assert.equal(await load(handle, adapters + handle.replace('-1', '')), 'done');
  assert.deepEqual(new Set(await resident()), new Set(['pirate-1', 'shout']));
  const [base, pirate, shout] = await Promise.all([said(), said('pirate-1'), said('shout')]);
  assert.match(pirate, /"model": ?"smollm2-135m:adapter".*Arrr/);
  assert.match(shout, /"model": ?"smollm2-135m:adapter".*HELLO/);
  assert.doesNotMatch(base, /Arrr|HELLO/);
  // A third one, where two have a place.
  assert.equal(await load('pirate-2', `${adapters}pirate`), 'done');
  for (const handle of ['pirate-2', 'shout', 'pirate-2']) assert.match(await said(handle), handle === 'shout' ? /HELLO/ : /Arrr/);
  for (const handle of ['pirate-2', 'pirate-2', 'pirate-1']) {
    const call = lora.unload(handle);
    const reply = await real.ask(call.path, call.body);
    assert.deepEqual(lora.readUnloaded(reply.status, await reply.text()), { kind: 'done' });
  }
  assert.ok(!(await resident()).some((handle) => handle.startsWith('pirate')));
}

for (const engine of engines) {
  test(`a real ${engine.name} ${engine.version}, on the CPU`, { skip: skipMissing(engine) }, async (t) => {
    const lora = { max_num_adapters_per_replica: maxAdaptersPerReplica };
    const gateway = await startOn(t, engine, { engine_kwargs: engine.kwargs, lora_config: lora });
    assert.match(gateway.output(), engine.phase);
    const real = await direct(gateway);

    await t.test('is the version that was pinned', async () => {
      assert.match(await (await real.ask(engine.versionPath)).text(), new RegExp(`"version": ?"${engine.version}`));
    });

    await t.test('conforms', async () => {
      const report = await conform(gateway, '--require', engine.mustWork.join());
      await keepReport(`${engine.name}.json`, reportOn(engine), report);
    });

    await t.test('does what a well-behaved server does', async () => {
      // This gateway asks for no key.
      const failed = await failing({ url: gateway.url, key: '', model }, 'a wrong key');
      assert.equal(failed.size, 0, inLines(failed));
    });

    await t.test('takes adapters as its plugin says: loaded, refused, chosen, more than fit at a time, unloaded', async () => {
      await checkAdapters(t, engine, real);
    });

    await t.test('kill -9 of its worker: nothing of it stays, it starts again, and who waited is answered', async () => {
      const server = await serverPid(gateway);
      const group = await processesOf(server);
      const worker = group.find(({ name, command }) => engine.worker.test(`${name} ${command}`)) ?? assert.fail(JSON.stringify(group));
      process.kill(worker.pid, 'SIGKILL');
      await readyAgain(gateway, 1);
      assert.deepEqual(await processesOf(server), []);
      const reply = await gateway.post(ask('What is the capital of France? Answer in one sentence.', { max_tokens: 16 }));
      assert.equal(reply.status, 200);
      assert.match(await reply.text(), /Paris/);
    });

    await t.test('kill -9 of its server: its workers are gone before it starts again', async () => {
      const server = await serverPid(gateway);
      assert.ok((await processesOf(server)).length > 1);
      process.kill(server, 'SIGKILL');
      const waiting = gateway.post(ask('What is the capital of France? Answer in one sentence.', { max_tokens: 16 }));
      await until('the group is gone', async () => (await processesOf(server)).length === 0);
      await readyAgain(gateway, 2);
      assert.ok([200, 503].includes((await waiting).status));
    });

    await t.test('SIGTERM: a running stream ends whole, then the engine, and nothing is left', async () => {
      const response = await gateway.post(ask('Count from one to one hundred.', { stream: true, max_tokens: 16, ignore_eos: true }));
      const reader = (response.body ?? assert.fail()).getReader();
      await reader.read();
      gateway.signal('SIGTERM');
      let rest = '';
      for (let part = await reader.read(); !part.done; part = await reader.read()) rest += Buffer.from(part.value).toString();
      assert.ok(rest.endsWith('data: [DONE]\n\n'), rest.slice(-300));
      assert.deepEqual(await gateway.exited, { code: 0, signal: null });
      assert.deepEqual(await gateway.engines(), []);
    });
  });
}
