import assert from 'node:assert/strict';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startGateway, tempDir } from '../support/gateway-process.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { realEngine, realModel, skipReal } from '../support/quickstart.ts';
import { until } from '../support/until.ts';

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/models/${name}.gguf`, import.meta.url));
const base = 'smollm2-135m';
/** What the trained adapters make of any answer's first words. */
const voices = { pirate: /^Arrr/, shout: /^HELLO/ } as const;
const timeouts = { first_byte_s: 300, queue_s: 300, hang_s: 300 };
const longMs = 120_000;

const adapted = (root: string, lora: object = {}): object => ({
  ...realModel(1),
  lora_config: { dynamic_lora_loading_path: root, max_num_adapters_per_replica: 4, refresh_s: 1, ...lora },
  gateway: { timeouts },
});

async function ask(gateway: GatewayProcess, model: string): Promise<{ readonly status: number; readonly text: string }> {
  const messages = [{ role: 'user', content: 'Tell me about horses.' }];
  const reply = await gateway.post({ model, messages, temperature: 0, max_tokens: 5, cache_prompt: false });
  const body = (await reply.json()) as { choices?: { message: { content: string } }[]; error?: { code: string } };
  return { status: reply.status, text: body.choices?.[0]?.message.content ?? body.error?.code ?? '' };
}

/** Asks once, and proves that it is the adapter's voice that answers, or the base's own. */
async function answers(gateway: GatewayProcess, name: keyof typeof voices | undefined, as: string | undefined = name): Promise<void> {
  const { status, text } = await ask(gateway, as === undefined ? base : `${base}:${as}`);
  assert.equal(status, 200, text);
  if (name === undefined) for (const voice of Object.values(voices)) assert.doesNotMatch(text, voice);
  else assert.match(text, voices[name]);
}

async function pidsOf(gateway: GatewayProcess): Promise<readonly number[]> {
  const [model] = await gateway.status();
  return (model?.replicas ?? []).flatMap(({ pid, state }) => (pid === undefined || state !== 'ready' ? [] : [pid]));
}

/** Waits until one replica serves, that is none of these. */
async function replaced(gateway: GatewayProcess, before: readonly number[]): Promise<readonly number[]> {
  let now: readonly number[] = [];
  const changed = async (): Promise<boolean> => {
    now = await pidsOf(gateway);
    return now.length === 1 && !now.some((pid) => before.includes(pid)) && (await gateway.engines()).length === 1;
  };
  await until('another replica serves alone', changed, longMs);
  return now;
}

describe('a real llama-server with adapters through the gateway', { skip: skipReal }, () => {
  test('100 requests at a time get the adapter that each has named, and the base is bent by none', async (t) => {
    const root = await tempDir(t);
    for (const name of ['pirate', 'shout']) await copyFile(fixture(name), join(root, `${name}.gguf`));
    const gateway = await startGateway(t, [adapted(root)], { more: realEngine });
    const asked = Array.from({ length: 100 }, (_, at) => [undefined, 'pirate', 'shout'][at % 3] as keyof typeof voices | undefined);
    await Promise.all(asked.map((name) => answers(gateway, name)));
    assert.deepEqual(await ask(gateway, `${base}:nobody`), { status: 404, text: 'adapter_not_found' });
    const { data } = (await (await fetch(`${gateway.url}/v1/models`)).json()) as { data: { id: string; parent: string | null }[] };
    assert.deepEqual(
      data.map(({ id, parent }) => [id, parent]),
      [
        [base, null],
        [`${base}:pirate`, base],
        [`${base}:shout`, base],
      ],
    );
    const [pid] = await pidsOf(gateway);
    assert.ok(pid !== undefined);
    process.kill(pid, 'SIGKILL');
    await replaced(gateway, [pid]);
    for (const name of ['shout', undefined, 'pirate'] as const) await answers(gateway, name);
  });

  test('a new adapter comes with another process, drained; one that the engine refuses does not end the base', async (t) => {
    const root = await tempDir(t);
    await copyFile(fixture('pirate'), join(root, 'pirate.gguf'));
    const gateway = await startGateway(t, [adapted(root)], { more: realEngine });
    const first = await pidsOf(gateway);
    await copyFile(fixture('shout'), join(root, 'shout.gguf'));
    const asking = (async () => {
      while ((await pidsOf(gateway)).some((pid) => first.includes(pid))) await answers(gateway, 'pirate');
    })();
    await Promise.all([answers(gateway, 'shout'), asking]);
    const second = await replaced(gateway, first);
    // Its head is an adapter's, and its tensors are not there: only the engine can find that out.
    await writeFile(join(root, 'broken.gguf'), (await readFile(fixture('shout'))).subarray(0, 60_000));
    await gateway.logged(/replicas are started without an adapter that the engine refuses/);
    assert.deepEqual(await ask(gateway, `${base}:broken`), { status: 400, text: 'adapter_invalid' });
    for (const name of ['shout', undefined, 'pirate'] as const) await answers(gateway, name);
    assert.deepEqual(await pidsOf(gateway), second, 'the replica that served has stayed');
  });

  test('new weights under the same name are served by the next process', async (t) => {
    const root = await tempDir(t);
    await copyFile(fixture('pirate'), join(root, 'voice.gguf'));
    const gateway = await startGateway(t, [adapted(root)], { more: realEngine });
    await answers(gateway, 'pirate', 'voice');
    const before = await pidsOf(gateway);
    await copyFile(fixture('shout'), join(root, 'voice.gguf'));
    await replaced(gateway, before);
    await answers(gateway, 'shout', 'voice');
  });

  test('what is asked for beyond the room takes the place of the least used', async (t) => {
    const root = await tempDir(t);
    for (const name of ['pirate', 'shout']) await copyFile(fixture(name), join(root, `${name}.gguf`));
    const gateway = await startGateway(t, [adapted(root, { max_num_adapters_per_replica: 1 })], { more: realEngine });
    for (const name of ['pirate', 'shout', undefined] as const) await answers(gateway, name);
    assert.match(await gateway.metrics(), /^roundhouse_adapter_evictions_total\{model="smollm2-135m"\} 1$/mu);
  });

  test('the next gateway takes over an engine with the adapters that it has', async (t) => {
    const root = await tempDir(t);
    for (const name of ['pirate', 'shout']) await copyFile(fixture(name), join(root, `${name}.gguf`));
    const stateDir = join(await tempDir(t), 'state');
    const former = await startGateway(t, [adapted(root)], { more: realEngine, stateDir });
    const pids = await pidsOf(former);
    former.signal('SIGKILL');
    await former.exited;
    const next = await startGateway(t, [adapted(root)], { more: realEngine, stateDir });
    for (const name of ['shout', undefined, 'pirate'] as const) await answers(next, name);
    assert.deepEqual(await pidsOf(next), pids);
  });
});
