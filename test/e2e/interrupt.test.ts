import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { configText, fakeModel, tempDir } from '../support/gateway-process.ts';
import { atTerminal, controlC, skipTerminal, type Terminal } from '../support/terminal.ts';
import { until } from '../support/until.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

interface Started {
  readonly terminal: Terminal;
  readonly dir: string;
}

/** Starts a gateway at a terminal; `config` may put files beside it. The environment of all it starts has the folder. */
async function startAtTerminal(t: TestContext, config: (dir: string) => string | Promise<string>): Promise<Started> {
  const dir = await tempDir(t);
  const file = join(dir, 'config.yaml');
  const text = await config(dir);
  if (text !== '') await writeFile(file, text);
  const env = { PATH: process.env['PATH'] ?? '', HOME: dir, TEST_INTERRUPT: dir, TERM: 'xterm' };
  return { dir, terminal: atTerminal(t, [process.execPath, main, 'start', '-c', file], { cwd: dir, env }) };
}

/** Processes that were started below the gateway, or are it. */
async function left(dir: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/u.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      // A process may end while it is looked at.
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
      const name = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      return environment.includes(`TEST_INTERRUPT=${dir}\0`) && !name.includes('terminal.py') ? [`${pid} ${name}`] : [];
    }),
  );
  return found.flat();
}

const marked = (model: object, dir: string): object => ({ ...model, runtime_env: { env_vars: { TEST_INTERRUPT: dir } } });

/** After Ctrl-C: the exit status as a shell sees it (a signal's number below zero, as Python says it, & 255), and nothing is left. */
async function ended({ terminal, dir }: Started, code: number): Promise<void> {
  assert.equal(await terminal.exited, code, terminal.page());
  await until('no process is left', async () => (await left(dir)).length === 0);
  const state = await readdir(join(dir, 'state')).catch(() => []);
  assert.deepEqual(await readdir(join(dir, 'state', 'leases')).catch(() => []), [], state.join());
}

const bySignal = 254;
/** Where an engine says that it was asked. */
const asked = (dir: string): string => join(dir, 'asked');

describe('Ctrl-C during a start', { skip: skipTerminal }, () => {
  test('while the config is read', async (t) => {
    const started = await startAtTerminal(t, (dir) => {
      // Nobody writes to it: whoever opens it waits.
      execFileSync('mkfifo', [join(dir, 'config.yaml')]);
      return '';
    });
    await until('it reads', async () => (await left(started.dir)).length === 1);
    started.terminal.press(controlC);
    await ended(started, bySignal);
  });

  test('while an installed engine is asked for its options', async (t) => {
    const started = await startAtTerminal(t, async (dir) => {
      const engine = join(dir, 'engine');
      await writeFile(engine, `#!/bin/sh\necho x > ${asked(dir)}\nexec sleep 1000\n`);
      await chmod(engine, 0o755);
      await writeFile(join(dir, 'm.gguf'), '');
      const model = {
        model_loading_config: { model_id: 'm', model_source: './m.gguf' },
        llm_engine: 'llamacpp',
        engine_kwargs: { ctx_size: 512 },
        gateway: { command: [engine] },
      };
      return configText(join(dir, 'state'), [marked(model, dir)]);
    });
    await until('it is asked', () =>
      readFile(asked(started.dir)).then(
        () => true,
        () => false,
      ),
    );
    started.terminal.press(controlC);
    await ended(started, bySignal);
  });

  test('while a model is fetched', async (t) => {
    const silent = createServer();
    t.after(() => {
      silent.closeAllConnections();
      silent.close();
    });
    await once(silent.listen(0, '127.0.0.1'), 'listening');
    const { port } = silent.address() as AddressInfo;
    const requested = once(silent, 'request');
    const source = `http://127.0.0.1:${port}/m.gguf`;
    const model = { ...fakeModel('m'), model_loading_config: { model_id: 'm', model_source: source } };
    const started = await startAtTerminal(t, (dir) => configText(join(dir, 'state'), [marked(model, dir)]));
    await requested;
    started.terminal.press(controlC);
    await started.terminal.shows(/Stopped; no engine is left running/u);
    await ended(started, 0);
  });

  for (const [when, kwargs, shown] of [
    // The phase that it stays in; one before it may be over before it is shown.
    ['loads', { ready_after_s: 1000 }, /warming up/u],
    ['is ready', {}, /Ready at/u],
  ] as const) {
    test(`while the engine ${when}`, async (t) => {
      const started = await startAtTerminal(t, (dir) => configText(join(dir, 'state'), [marked(fakeModel('m', kwargs), dir)]));
      await started.terminal.shows(shown);
      started.terminal.press(controlC);
      await started.terminal.shows(/SIGINT: stopping\.[^]*Stopped; no engine is left running/u);
      await ended(started, 0);
    });
  }

  test('while requests end: the second one ends all at once', async (t) => {
    const model = fakeModel('m', { tokens: 100_000, tokens_per_s: 1 });
    const started = await startAtTerminal(t, (dir) => configText(join(dir, 'state'), [marked(model, dir)]));
    await started.terminal.shows(/Ready at/u);
    const url = /Ready at (\S+)/u.exec(started.terminal.page())?.[1] ?? '';
    const reply = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: 'hi' }] }),
    });
    started.terminal.press(controlC);
    await started.terminal.shows(/Waiting for 1 request to end \(at most 30 s; Ctrl-C again stops now\)/u);
    // One Ctrl-C may arrive twice: what comes within a quarter of a second is one.
    await started.terminal.shows(/Waiting for 1 request to end/u);
    started.terminal.press(controlC);
    await assert.rejects(reply.text());
    await ended(started, 130);
  });
});

describe('at a terminal', { skip: skipTerminal }, () => {
  test('people read lines for people; the log is in the state directory, and its place is told', async (t) => {
    const { terminal, dir } = await startAtTerminal(t, (folder) => configText(join(folder, 'state'), [marked(fakeModel('m'), folder)]));
    await terminal.shows(/Ready at [^]*Its log is \S+\.[^]*Ctrl-C stops it\./u);
    terminal.press(controlC);
    assert.equal(await terminal.exited, 0);
    assert.doesNotMatch(terminal.page(), /\{"level":/u);
    const log = join(dir, 'state', 'gateway.log');
    assert.ok(terminal.page().includes(`Its log is ${log}.`), terminal.page());
    assert.match(await readFile(log, 'utf8'), /"msg":"replica is ready"/u);
  });
});
