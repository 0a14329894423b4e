import assert from 'node:assert/strict';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';
import { keepReport } from '../support/conformance-report.ts';
import { type GatewayProcess, killIfThere, tempDir } from '../support/gateway-process.ts';
import { until } from '../support/until.ts';
import { conform, engines, type EngineUnderTest, maxAdaptersPerReplica, model, reportOn, skipMissing, startOn } from './support/engines.ts';

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/models/${name}`, import.meta.url));
/** What the trained adapters make of any answer's first words. */
const voices = { pirate: /^Arrr/, shout: /^HELLO/ } as const;
type Voice = keyof typeof voices;
const longMs = 600_000;

async function ask(gateway: GatewayProcess, adapter: string | undefined): Promise<{ readonly status: number; readonly text: string }> {
  const messages = [{ role: 'user', content: 'Tell me about horses.' }];
  const named = adapter === undefined ? model : `${model}:${adapter}`;
  // On busy cores the last of a hundred waits longer than fetch would.
  const reply = await request(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: named, messages, temperature: 0, max_tokens: 5 }),
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const body = (await reply.body.json()) as { choices?: { message: { content: string } }[]; error?: { code: string } };
  return { status: reply.statusCode, text: body.choices?.[0]?.message.content ?? body.error?.code ?? '' };
}

/** Proves that it is the adapter's voice that answers, or the base's own. */
async function answers(gateway: GatewayProcess, voice: Voice | undefined, as: string | undefined = voice): Promise<void> {
  const { status, text } = await ask(gateway, as);
  assert.equal(status, 200, text);
  if (voice === undefined) for (const other of Object.values(voices)) assert.doesNotMatch(text, other);
  else assert.match(text, voices[voice]);
}

/** A safetensors file whose header names tensors, without data. */
function header(names: readonly string[]): Buffer {
  const text = Buffer.from(
    JSON.stringify(Object.fromEntries(names.map((name) => [name, { dtype: 'F16', shape: [0], data_offsets: [0, 0] }]))),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text]);
}

/** Trained ones, a rank above the `max_lora_rank` of 8, one with half of what its layer stacks, and a folder that is no adapter. */
async function adaptersIn(root: string): Promise<void> {
  for (const name of ['pirate', 'shout']) await cp(fixture(name), join(root, name), { recursive: true });
  await cp(fixture('pirate'), join(root, 'voice'), { recursive: true });
  const config = await readFile(join(fixture('pirate'), 'adapter_config.json'), 'utf8');
  await cp(fixture('pirate'), join(root, 'too-big'), { recursive: true });
  await writeFile(join(root, 'too-big', 'adapter_config.json'), JSON.stringify({ ...(JSON.parse(config) as object), r: 64 }));
  await mkdir(join(root, 'half'));
  await writeFile(join(root, 'half', 'adapter_config.json'), config);
  await writeFile(join(root, 'half', 'adapter_model.safetensors'), header(['base_model.model.model.layers.3.mlp.up_proj.lora_A.weight']));
  await mkdir(join(root, 'nothing'));
}

async function checkRestart(gateway: GatewayProcess): Promise<void> {
  const pid = (await gateway.status())[0]?.replicas[0]?.pid ?? assert.fail('no process');
  killIfThere(pid);
  const again = async (): Promise<boolean> => {
    // Between two looks the admin listener may have closed the connection that is asked on: the next look has another.
    const replica = (await gateway.status().catch(() => []))[0]?.replicas[0];
    return replica?.state === 'ready' && replica.pid !== pid;
  };
  await until('another process serves', again, longMs);
  for (const voice of ['pirate', undefined, 'shout'] as const) await answers(gateway, voice);
}

async function start(t: TestContext, engine: EngineUnderTest, root: string): Promise<GatewayProcess> {
  const lora = { dynamic_lora_loading_path: root, max_num_adapters_per_replica: maxAdaptersPerReplica, refresh_s: 1 };
  const waits = { queue_s: 1800, first_byte_s: 1800, idle_s: 1800, startup_s: 1200 };
  return await startOn(t, engine, {
    engine_kwargs: engine.kwargs,
    lora_config: lora,
    gateway: { gpus: 0, env: { HF_HUB_OFFLINE: '1', ...engine.env }, timeouts: waits },
  });
}

for (const engine of engines)
  test(`${engine.title} with adapters through the gateway`, { skip: skipMissing(engine) }, async (t) => {
    const root = await tempDir(t);
    await adaptersIn(root);
    const gateway = await start(t, engine, root);
    await t.test('100 requests at a time get the adapter that each has named, and the base is bent by none', async () => {
      const asked = Array.from({ length: 100 }, (_, at) => [undefined, 'pirate', 'shout'][at % 3] as Voice | undefined);
      await Promise.all(asked.map((voice) => answers(gateway, voice)));
    });
    await t.test('conforms with an adapter', async () => {
      const report = await conform(gateway, '--only', 'lora', '--adapter', `${model}:pirate`, '--require', 'lora');
      await keepReport(`${engine.name}-adapter.json`, { ...reportOn(engine), setting: 'with a directory of adapters' }, report);
    });
    await t.test('what cannot be loaded is told in its own words, and ends nobody', async () => {
      assert.deepEqual(await ask(gateway, 'nothing'), { status: 404, text: 'adapter_not_found' });
      assert.deepEqual(await ask(gateway, 'too-big'), { status: 400, text: 'adapter_invalid' });
      if (engine.name === 'sglang') assert.deepEqual(await ask(gateway, 'half'), { status: 400, text: 'adapter_invalid' });
      await answers(gateway, undefined);
    });
    await t.test('more adapters than there is room for take turns; new weights come under the same name', async () => {
      for (const [voice, name] of [
        ['pirate', 'voice'],
        ['shout', 'shout'],
        ['pirate', 'pirate'],
      ] as const)
        await answers(gateway, voice, name);
      assert.match(await gateway.metrics(), /^roundhouse_adapter_evictions_total\{model="smollm2-135m"\} [1-9]/mu);
      await rm(join(root, 'voice'), { recursive: true });
      await cp(fixture('shout'), join(root, 'voice'), { recursive: true });
      await until('the new weights answer', async () => voices.shout.test((await ask(gateway, 'voice')).text), longMs);
    });
    await t.test('a process that died is followed by one with adapters', () => checkRestart(gateway));
  });
