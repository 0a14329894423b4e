import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { chat, dataPlane, model } from '../support/data-plane.ts';
import { quickstart, skipReal } from '../support/quickstart.ts';
import { until } from '../support/until.ts';

/** A llama-server of this test's own. Resolves with its port once it serves. */
async function llamaServer(t: TestContext): Promise<number> {
  const port = await freePort();
  const args = [
    '-m',
    quickstart.model,
    '--host',
    '127.0.0.1',
    '--port',
    String(port),
    '--alias',
    model,
    '-t',
    '1',
    '-tb',
    '1',
    '-c',
    '2048',
    '-np',
    '1',
  ];
  const engine = spawn(quickstart.engine, args, { stdio: 'ignore' });
  t.after(async () => {
    engine.kill('SIGKILL');
    if (engine.exitCode === null && engine.signalCode === null) await once(engine, 'exit');
  });
  const serves = async (): Promise<boolean> => {
    assert.equal(engine.exitCode, null, 'llama-server has ended');
    return (await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined))?.status === 200;
  };
  await until('llama-server serves', serves, 60_000);
  return port;
}

/** Passes bytes on to the engine's port and back, and cuts the connection on which `cut.after` events have come. */
async function cuttingProxy(t: TestContext, port: number, cut: { after: number }): Promise<{ readonly url: string }> {
  const server = createServer((client) => {
    const engine = connect(port, '127.0.0.1');
    const end = (): void => {
      client.destroy();
      engine.destroy();
    };
    for (const socket of [client, engine]) socket.on('error', end).on('close', end);
    client.pipe(engine);
    let events = 0;
    engine.on('data', (bytes: Buffer) => {
      events += bytes.toString('latin1').split('data: {').length - 1;
      client.write(bytes);
      if (events < cut.after) return;
      cut.after = Number.POSITIVE_INFINITY;
      client.destroySoon();
      engine.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const prompts = [
  'What is the capital of France?',
  'Name three colours.',
  'Write a sentence about horses.',
  'Count from one to ten.',
  'Why is the sky blue?',
  'Tell me about the sea.',
  'What do cats eat?',
  'Give me a recipe for tea.',
  'Who was Isaac Newton?',
  'Describe a mountain.',
  'What is a computer?',
  'How do birds fly?',
  'Say something kind.',
  'What is the largest planet?',
  'Write two lines about rain.',
  'Explain gravity to a child.',
  'List four animals.',
  'What is bread made of?',
  'Tell me a short story.',
  'How far away is the moon?',
];

interface Told {
  readonly text: string;
  readonly finish: readonly string[];
  readonly roles: number;
}

function told(stream: string): Told {
  type Choice = { readonly delta: { readonly role?: string; readonly content?: string | null }; readonly finish_reason: string | null };
  const choices = stream
    .split('\n\n')
    .filter((line) => line.startsWith('data: {'))
    .flatMap((line) => (JSON.parse(line.slice(6)) as { choices: Choice[] }).choices);
  return {
    text: choices.map(({ delta }) => delta.content ?? '').join(''),
    finish: choices.flatMap((choice) => choice.finish_reason ?? []),
    roles: choices.filter(({ delta }) => delta.role !== undefined).length,
  };
}

describe('a stream of a real llama-server that breaks off', { skip: skipReal }, () => {
  test('goes on without a seam, and says what it would have said', { timeout: 300_000 }, async (t) => {
    const port = await llamaServer(t);
    const cut = { after: Number.POSITIVE_INFINITY };
    const replicas = [await cuttingProxy(t, port, cut), await cuttingProxy(t, port, cut)];
    const gateway = await dataPlane(t, replicas, { engine: 'llamacpp', resumeStreams: true });
    const ask = async (prompt: string): Promise<Told> => {
      const messages = [{ role: 'user', content: prompt }];
      const body = { ...chat({ stream: true, temperature: 0, cache_prompt: false, max_tokens: 24 }), messages };
      return told(await (await gateway.post(body)).text());
    };
    let same = 0;
    for (const [at, prompt] of prompts.entries()) {
      const whole = await ask(prompt);
      cut.after = 2 + (at % 12);
      const resumed = await ask(prompt);
      assert.equal(cut.after, Number.POSITIVE_INFINITY, 'the connection was cut');
      assert.deepEqual([resumed.finish.length, resumed.roles], [1, 1], prompt);
      if (resumed.text === whole.text) same += 1;
      else t.diagnostic(`${JSON.stringify(prompt)}: ${JSON.stringify(whole.text)} became ${JSON.stringify(resumed.text)}`);
    }
    t.diagnostic(`${same} of ${prompts.length} texts are those of the undisturbed run`);
    assert.ok(same >= 19, `${same} of ${prompts.length}`);
  });
});
