import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { systemClock } from '../../../src/core/clock.ts';
import { replicaId } from '../../../src/core/ids.ts';
import type { EnginePlugin } from '../../../src/plugins/engine-plugin.ts';
import { fake } from '../../../src/plugins/fake/index.ts';
import { LocalProvider } from '../../../src/supervisor/providers/local.ts';
import type { ReplicaHandle } from '../../../src/supervisor/providers/provider.ts';
import { model } from '../support/model.ts';
import { isAlive, marked, testPorts } from '../support/real.ts';

const never = new AbortController().signal;
let runs = 0;

interface Launched {
  readonly provider: LocalProvider;
  readonly handle: Awaited<ReturnType<LocalProvider['launch']>>;
  readonly stateDir: string;
  readonly id: string;
  readonly lines: string[];
  /** Resolves with the match once a line has matched. */
  readonly line: (pattern: RegExp) => Promise<RegExpExecArray>;
}

interface Place {
  readonly provider: LocalProvider;
  readonly stateDir: string;
}

async function place(t: TestContext, env: Readonly<Record<string, string | undefined>> = process.env): Promise<Place> {
  const stateDir = await mkdtemp(join(tmpdir(), 'roundhouse-local-'));
  const log = pino({ level: 'silent' });
  const provider = new LocalProvider({ clock: systemClock, log, random: Math.random, env, stateDir, enginePorts: testPorts });
  t.after(async () => {
    provider.killAllNow();
    await rm(stateDir, { recursive: true, force: true });
  });
  return { provider, stateDir };
}

/** A node script as an engine: what must be seen of a process, and no more. */
async function launch(t: TestContext, script: string, over: { place?: Place; env?: Record<string, string> } = {}): Promise<Launched> {
  const { provider, stateDir } = over.place ?? (await place(t));
  const id = `local-0-${(0x10000000 + (runs += 1)).toString(16)}`;
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const engine = { ...fake.configure({}), command: () => ({ args: ['-e', script], env: { ENGINE_KEY: 'key' } }) };
  const spec = {
    id: replicaId(id),
    model: model({ env: over.env ?? {} }),
    engine,
    command: [process.execPath] as const,
    index: 0,
    fingerprint: 'same',
  };
  const onLine = (line: string): void => {
    lines.push(line);
    for (const look of waiting) look();
  };
  const handle = await provider.launch(spec, onLine, never);
  t.after(async () => {
    await handle.stop(0);
    assert.deepEqual(await marked(id), [], 'a process is left');
  });
  const line = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve) => {
      const look = (): void => {
        const match = lines.map((text) => pattern.exec(text)).find((found) => found !== null);
        if (match === null || match === undefined) return;
        waiting.delete(look);
        resolve(match);
      };
      waiting.add(look);
      look();
    });
  return { provider, handle, stateDir, id, lines, line };
}

/** Keeps running and says so. */
const stay = `setInterval(() => undefined, 1000); console.log('up');`;

test('output of both kinds goes to the log file and to the watcher; the exit is known', async (t) => {
  const { handle, lines } = await launch(t, `console.log('out'); console.error('err'); process.exitCode = 3;`);
  assert.deepEqual(await handle.exited, { code: 3, signal: null });
  await handle.stop(0);
  assert.deepEqual(lines.sort(), ['err', 'out']);
  assert.equal(await readFile(handle.logFile, 'utf8').then((text) => text.length), 8);
  assert.equal((await stat(handle.logFile)).mode & 0o777, 0o600);
  assert.deepEqual([...handle.tail()].sort(), ['err', 'out']);
});

test('an engine gets its own environment, a session of its own, and no stdin', async (t) => {
  const at = await place(t, { PATH: process.env['PATH'], AWS_SECRET_ACCESS_KEY: 'secret', CUDA_VISIBLE_DEVICES: '0' });
  const script = `console.log('env ' + JSON.stringify(process.env)); process.stdin.on('end', () => console.log('no stdin')).resume(); ${stay}`;
  const { handle, line, id } = await launch(t, script, { place: at, env: { MINE: 'yes' } });
  await line(/^no stdin/);
  const env = JSON.parse((await line(/^env (.*)$/))[1] ?? '') as Record<string, string>;
  assert.deepEqual(env, {
    PATH: process.env['PATH'],
    // Without GPUs of its own it sees none.
    CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
    CUDA_VISIBLE_DEVICES: '',
    HIP_VISIBLE_DEVICES: '',
    MINE: 'yes',
    ENGINE_KEY: 'key',
    SPT_NOENV: '1',
    ROUNDHOUSE_REPLICA: id,
  });
  const fields = (await readFile(`/proc/${handle.pid}/stat`, 'latin1')).split(') ')[1]?.split(' ');
  assert.deepEqual([fields?.[2], fields?.[3]], [String(handle.pid), String(handle.pid)], 'group and session');
});

test('an engine that stops politely is not killed', async (t) => {
  const { handle, line } = await launch(t, `process.on('SIGTERM', () => { console.log('bye'); process.exit(0); }); ${stay}`);
  await line(/up/);
  assert.deepEqual(await handle.stop(30_000), { code: 0, signal: null });
  await line(/bye/);
});

test('an engine that ignores SIGTERM is killed when its grace is over, and not before', async (t) => {
  const { handle, line } = await launch(t, `process.on('SIGTERM', () => console.log('no')); ${stay}`);
  await line(/up/);
  const begun = performance.now();
  assert.equal((await handle.stop(300)).signal, 'SIGKILL');
  const took = performance.now() - begun;
  assert.ok(took >= 299 && took < 10_000, `${took} ms`);
  await line(/no/);
});

test('a second stop with less grace hurries the first', async (t) => {
  const { handle, line } = await launch(t, `process.on('SIGTERM', () => console.log('no')); ${stay}`);
  await line(/up/);
  const first = handle.stop(600_000);
  await line(/no/);
  assert.equal((await handle.stop(0)).signal, 'SIGKILL');
  await first;
});

test('a stopped (SIGSTOP) engine is ended all the same', async (t) => {
  const { handle, line } = await launch(t, stay);
  await line(/up/);
  process.kill(handle.pid, 'SIGSTOP');
  assert.equal((await handle.stop(50)).signal, 'SIGKILL');
});

/** The address of a source file, as text for a script. */
const source = (path: string): string => JSON.stringify(new URL(`../../../src/${path}`, import.meta.url).href);

/** Starts a child that stays, and prints its pid. */
const child = (options: string): string =>
  `const { spawn } = require('node:child_process');
   const other = spawn(process.execPath, ['-e', "process.on('SIGTERM', () => undefined); setInterval(() => undefined, 1000)"], ${options});
   console.log('child ' + other.pid);`;

test('children that outlive their killed parent are killed with its group', async (t) => {
  const { handle, line } = await launch(t, `${child(`{ stdio: 'ignore' }`)} ${stay}`);
  const pid = Number((await line(/^child (\d+)$/))[1]);
  process.kill(handle.pid, 'SIGKILL');
  await handle.exited;
  assert.equal(isAlive(pid), true, 'the test needs a survivor');
  await handle.stop(0);
  assert.equal(isAlive(pid), false);
});

test('a child that left the group and the session is found by its marker', async (t) => {
  const { handle, line } = await launch(t, `${child(`{ stdio: 'ignore', detached: true }`)} other.unref(); ${stay}`);
  const pid = Number((await line(/^child (\d+)$/))[1]);
  await line(/up/);
  assert.equal((await handle.stop(2000)).escaped, 1);
  assert.equal(isAlive(pid), false);
});

test('killAllNow ends everything, without waiting', async (t) => {
  const { handle, line, provider } = await launch(t, `${child(`{ stdio: 'ignore', detached: true }`)} ${stay}`);
  const pid = Number((await line(/^child (\d+)$/))[1]);
  provider.killAllNow();
  assert.equal((await handle.exited).signal, 'SIGKILL');
  await handle.stop(0);
  assert.equal(isAlive(pid), false);
});

test('an engine outlives the process that launched it, its log goes on', async (t) => {
  const stateDir = await mkdtemp(join(tmpdir(), 'roundhouse-local-'));
  t.after(() => rm(stateDir, { recursive: true, force: true }));
  const beats = `setInterval(() => console.log('beat'), 20)`;
  const launcher = `
    const { LocalProvider } = await import(${source('supervisor/providers/local.ts')});
    const { systemClock } = await import(${source('core/clock.ts')});
    const { fake } = await import(${source('plugins/fake/index.ts')});
    const provider = new LocalProvider({ clock: systemClock, log: undefined, random: Math.random, env: process.env, stateDir: ${JSON.stringify(stateDir)}, enginePorts: ${JSON.stringify(testPorts)} });
    const engine = { ...fake.configure({}), command: () => ({ args: ['-e', ${JSON.stringify(beats)}], env: {} }) };
    const handle = await provider.launch({ id: 'left-0-00000000', model: { name: 'left', source: {}, env: {} }, engine, command: [process.execPath] }, () => process.kill(process.pid, 'SIGKILL'), new AbortController().signal);
    console.log(handle.pid);`;
  const gateway = spawn(process.execPath, ['--input-type=module', '-e', launcher], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [printed] = (await once(gateway.stdout, 'data')) as [Buffer];
  const pid = Number(printed.toString());
  t.after(() => process.kill(pid, 'SIGKILL'));
  await once(gateway, 'exit');
  const file = join(stateDir, 'logs', 'left-0-00000000.log');
  const before = (await stat(file)).size;
  while ((await stat(file)).size < before + 50) assert.equal(isAlive(pid), true);
});

test('a flood of output is bounded in memory, read to its end, and does not hold the engine up', async (t) => {
  const flood = `
    const chunk = Buffer.alloc(1 << 20, 'x');
    for (let mb = 0; mb < 60; mb += 1) require('node:fs').writeSync(1, mb % 2 === 0 ? chunk : Buffer.alloc(1 << 20, 'a line \\x1b[31mred\\xff\\n', 'latin1'));
    require('node:fs').writeSync(1, '\\nthe last line\\n');`;
  const before = process.memoryUsage().rss;
  const { handle, lines } = await launch(t, flood);
  assert.deepEqual(await handle.exited, { code: 0, signal: null });
  await handle.stop(0);
  assert.equal(lines.at(-1), 'the last line');
  assert.ok(lines.every((line) => line.length <= 65_536 && !line.includes('\u001B')));
  assert.ok(handle.tail().length <= 200);
  const grown = (process.memoryUsage().rss - before) / 2 ** 20;
  assert.ok(grown < 100, `${grown.toFixed(0)} MB more`);
});

test('only the logs of the last few runs of a replica are kept', async (t) => {
  const at = await place(t);
  for (let run = 0; run < 8; run += 1) {
    const { handle } = await launch(t, `console.log('run')`, { place: at });
    await handle.exited;
    await handle.stop(0);
  }
  await writeFile(join(at.stateDir, 'logs', 'local-00-12345678.log'), '');
  const { handle } = await launch(t, '', { place: at });
  await handle.stop(0);
  const files = await readdir(join(at.stateDir, 'logs'));
  assert.ok(files.includes('local-00-12345678.log'), 'of another replica');
  assert.equal(files.length, 7);
});

async function rejected(
  t: TestContext,
  command: readonly [string, ...string[]],
  signal = never,
): Promise<{ promise: Promise<ReplicaHandle>; stateDir: string }> {
  const { provider, stateDir } = await place(t);
  const engine = fake.configure({});
  return {
    promise: provider.launch(
      { id: replicaId('local-0-00000000'), model: model(), engine, command, index: 0, fingerprint: 'same' },
      () => undefined,
      signal,
    ),
    stateDir,
  };
}

test('an executable that is not there, or that the system cannot run, is a missing engine', async (t) => {
  const missing = await rejected(t, ['no-such-engine']);
  await assert.rejects(missing.promise, { code: 'engine_missing', message: /^no-such-engine: not found on PATH/ });
  const { stateDir } = await place(t);
  const broken = join(stateDir, 'broken');
  await writeFile(broken, '#!/no/such/interpreter\n');
  await chmod(broken, 0o755);
  const unrunnable = await rejected(t, [broken]);
  await assert.rejects(unrunnable.promise, { code: 'engine_missing', message: new RegExp(`^${broken}: cannot be run: .*ENOENT`) });
});

test('a launch that is aborted starts nothing', async (t) => {
  const abort = new AbortController();
  const aborted = await rejected(t, [process.execPath], abort.signal);
  abort.abort(new Error('stopped meanwhile'));
  await assert.rejects(aborted.promise, { message: 'stopped meanwhile' });
  assert.deepEqual(await marked('local-0-00000000'), []);
});

test('a state directory that cannot be used is named', async (t) => {
  const { stateDir } = await place(t);
  const file = join(stateDir, 'file');
  await writeFile(file, '');
  const log = pino({ level: 'silent' });
  const provider = new LocalProvider({
    clock: systemClock,
    log,
    random: Math.random,
    env: process.env,
    stateDir: file,
    enginePorts: testPorts,
  });
  const spec = {
    id: replicaId('local-0-00000000'),
    model: model(),
    engine: fake.configure({}),
    command: [process.execPath] as const,
    index: 0,
    fingerprint: 'same',
  };
  await assert.rejects(
    provider.launch(spec, () => undefined, never),
    { code: 'state_unusable', message: new RegExp(`^${file}/logs: `) },
  );
});

test('the engine is told its port, key, model and grace', async (t) => {
  const { provider } = await place(t);
  const seen: unknown[] = [];
  const plugin: EnginePlugin = fake;
  const engine = {
    ...plugin.configure({}),
    command: (launch: unknown) => {
      seen.push(launch);
      return { args: ['-e', ''], env: {} };
    },
  };
  const spec = {
    id: replicaId('local-0-00000000'),
    model: model(),
    engine,
    command: [process.execPath] as const,
    index: 0,
    fingerprint: 'same',
  };
  const handle = await provider.launch(spec, () => undefined, never);
  t.after(() => handle.stop(0));
  const port = Number(new URL(handle.upstream).port);
  assert.ok(port >= testPorts.first && port < testPorts.first + testPorts.count);
  assert.match(handle.apiKey, /^[0-9a-f]{64}$/);
  const given = { model: { kind: 'reference', value: 'none' }, servedName: 'demo', port, innerPort: port + 1, apiKey: handle.apiKey };
  assert.deepEqual(seen, [{ ...given, stopGraceS: 5, adapters: [] }]);
});
