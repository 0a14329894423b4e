import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../support/free-port.ts';
import { llamacpp } from '../../src/plugins/llamacpp/index.ts';
import { quickstart, skipReal } from '../support/quickstart.ts';
import { requestOf } from '../support/request.ts';
import { until } from '../support/until.ts';

const { dialect } = llamacpp;
const apiKey = 'key-of-the-engine';

test('a real llama-server with two adapters: each request gets its own, and the base is bent by none', { skip: skipReal }, async (t) => {
  const engine = llamacpp.configure({ threads: 1, threads_batch: 1, parallel: 3, ctx_size: 3072 }, { lora: { maxAdaptersPerReplica: 2 } });
  const { lora } = engine;
  assert.equal(lora?.kind, 'at-start');
  const adapters = ['pirate', 'shout'].map((name) => ({
    handle: name,
    path: fileURLToPath(new URL(`../fixtures/models/${name}.gguf`, import.meta.url)),
  }));
  const port = await freePort();
  const model = { kind: 'path', value: quickstart.model } as const;
  const { args, env } = engine.command({ model, servedName: 'public/id', port, innerPort: 0, apiKey, stopGraceS: 5, adapters });
  const child = spawn(quickstart.engine, args, { env: { ...process.env, ...env }, stdio: 'ignore' });
  const exited = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const url = `http://127.0.0.1:${port}`;
  await until('it is ready', async () => {
    assert.equal(child.exitCode, null);
    return (await fetch(url + engine.probes.readiness.path).catch(() => undefined))?.status === 200;
  });
  const said = async (adapter?: number): Promise<string> => {
    const body = { model: 'public/id', messages: [{ role: 'user', content: 'Tell me about horses.' }], temperature: 0, max_tokens: 8 };
    // What the client says of adapters has no effect.
    const request = requestOf('chat', JSON.stringify({ ...body, cache_prompt: false, lora: [{ id: 0, scale: 1 }] }));
    const sent = dialect.toEngine(request, 'attempt', adapter === undefined ? undefined : lora.handle(adapter));
    const reply = await fetch(url + sent.path, { method: 'POST', headers: { authorization: `Bearer ${apiKey}` }, body: sent.body });
    return await reply.text();
  };
  const rounds = [undefined, 0, 1, 1, undefined, 0];
  for (const [at, text] of (await Promise.all(rounds.map(said))).entries()) {
    const adapter = rounds[at];
    if (adapter === undefined) assert.doesNotMatch(text, /Arrr|HELLO/);
    else assert.match(text, adapter === 0 ? /"content":"Arrr/ : /"content":"HELLO/);
  }
});
