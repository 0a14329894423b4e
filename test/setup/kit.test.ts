import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { chooseEngine, engineReady, makeEngine } from '../../setup/kit/engine.ts';
import type { Tools } from '../../setup/kit/engine-route.ts';
import { ensureKit } from '../../setup/kit/kit.ts';
import { describeMachine } from '../../setup/kit/machine.ts';
import { kitPaths } from '../../setup/kit/paths.ts';
import { tryEngine } from '../../setup/kit/trial.ts';
import { withStage } from '../../setup/staging.mjs';
import { fakeServer, scratch, script } from './scratch.ts';

const never = new AbortController().signal;

/** PATH with what a launcher needs and nothing that could fetch anything. */
function barePath(home: string): string {
  const directory = join(home, 'bin');
  mkdirSync(directory);
  for (const tool of ['sh', 'dirname'])
    symlinkSync(['/bin', '/usr/bin'].map((at) => join(at, tool)).find((file) => existsSync(file)) ?? tool, join(directory, tool));
  return directory;
}

/** Makes the engine of a kit whose model is there already. */
async function make(root: string, env: NodeJS.ProcessEnv): Promise<void> {
  const kit = kitPaths(root);
  await withStage(kit.directory, async (stage) => {
    const tools: Tools = { signal: never, machine: describeMachine(env), stage, python: async () => assert.fail('asked for a Python') };
    await makeEngine(chooseEngine(env, kit), kit, tools);
  });
}

function ready(root: string, env: NodeJS.ProcessEnv): boolean {
  const kit = kitPaths(root);
  return engineReady(chooseEngine(env, kit), kit, (env['ROUNDHOUSE_ENGINE_ROUTES'] ?? '') !== '');
}

function quiet(t: TestContext): void {
  t.mock.method(process.stderr, 'write', () => true);
}

test('where nothing can be had, the error says what was tried and what to install, and nothing is left', async (t) => {
  quiet(t);
  const home = scratch(t);
  const env = { PATH: barePath(home) };
  await assert.rejects(ensureKit(home, env, never), {
    code: 'artifact_unavailable',
    message: /no Python on PATH.*no apt-get[^]*Install Python 3\.10 or newer with pip/,
  });
  await assert.rejects(make(home, env), (error: Error) => {
    for (const said of [/PATH: no llama-server/, /sid: /, /skulk: /, /xllamacpp: /, /brew install llama\.cpp/, /LLAMA_SERVER/])
      assert.match(error.message, said);
    assert.equal('code' in error && error.code, 'engine_missing');
    return true;
  });
  assert.deepEqual(readdirSync(kitPaths(home).directory), []);
});

test('an engine on PATH is tried, adopted once, and looked at again only when it changes', async (t) => {
  quiet(t);
  const home = scratch(t);
  const env = { PATH: barePath(home) };
  const file = fakeServer(join(env.PATH, 'llama-server'));
  assert.equal(ready(home, env), false);
  await make(home, env);
  assert.equal(ready(home, env), true);
  const { server } = kitPaths(home);
  assert.match(readFileSync(server, 'utf8'), /"route":"path"/);
  assert.match(spawnSync(server, ['--version'], { encoding: 'utf8', env }).stderr, /version: 1 \(fake\)/);
  utimesSync(file, 1, 1);
  assert.equal(ready(home, env), false);
  await make(home, env);
  assert.equal(ready(home, { PATH: '/nowhere' }), true, 'still there, though no longer on PATH');
  assert.equal(ready(home, { PATH: '/nowhere', ROUNDHOUSE_ENGINE_ROUTES: 'sid' }), false);
  rmSync(file);
  assert.equal(ready(home, env), false);
});

test('an engine that cannot compute is not adopted, and after another was made not tried again', async (t) => {
  quiet(t);
  const home = scratch(t);
  const env = { PATH: barePath(home) };
  const broken = fakeServer(join(env.PATH, 'llama-server'), { broken: true });
  await assert.rejects(make(home, env), {
    code: 'engine_missing',
    message: /PATH: it ended with code 132 instead of serving the model: illegal instruction/,
  });
  assert.equal(existsSync(kitPaths(home).server), false);
  await assert.rejects(make(home, { PATH: '/nowhere', LLAMA_SERVER: broken }), {
    code: 'engine_missing',
    message: /^LLAMA_SERVER is .*Unset it/,
  });
});

test('a launcher that was written half does not count', async (t) => {
  quiet(t);
  const home = scratch(t);
  const env = { PATH: barePath(home) };
  fakeServer(join(env.PATH, 'llama-server'));
  await make(home, env);
  truncateSync(kitPaths(home).server, 40);
  assert.equal(ready(home, env), false);
});

test('a kit that is whole is found without running or printing anything, and leftovers go', async (t) => {
  const home = scratch(t);
  const env = { PATH: barePath(home) };
  fakeServer(join(env.PATH, 'llama-server'));
  const silent = t.mock.method(process.stderr, 'write', () => true);
  await make(home, env);
  const kit = kitPaths(home);
  writeFileSync(kit.model, '');
  truncateSync(kit.model, 98_362_432);
  const leftover = join(kit.directory, `.tmp-${spawnSync(process.execPath, ['-e', '']).pid}-x`);
  mkdirSync(leftover);
  silent.mock.resetCalls();
  assert.deepEqual(await ensureKit(home, env, never), kit);
  assert.equal(silent.mock.callCount(), 0);
  assert.deepEqual(readdirSync(kit.directory).sort(), ['llama-server', 'smollm2-135m-instruct-q4_1.gguf']);
});

test('an aborted trial leaves no engine running', async (t) => {
  const home = scratch(t);
  const told = createServer((_, response) => response.end()).listen(0, '127.0.0.1');
  t.after(() => told.close());
  await once(told, 'listening');
  const { port } = told.address() as AddressInfo;
  // It never listens, so the trial would go on for its whole minute.
  const server = script(
    join(home, 'server'),
    process.execPath,
    `if (process.argv.includes('--version')) { console.log('version: 1'); process.exit(0); }
require('node:http').get('http://127.0.0.1:${port}/' + process.pid); setInterval(() => {}, 1000);`,
  );
  const controller = new AbortController();
  const started = once(told, 'request') as Promise<[IncomingMessage]>;
  const trial = tryEngine(server, 'model', controller.signal);
  const rejected = assert.rejects(trial, /stop that/);
  const pid = Number((await started)[0].url?.slice(1));
  controller.abort(new Error('stop that'));
  await rejected;
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
});
