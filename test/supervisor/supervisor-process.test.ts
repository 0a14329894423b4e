import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { LoadBoard } from '../../src/core/board.ts';
import { modelName } from '../../src/core/ids.ts';
import type { ReplicaView } from '../../src/core/table.ts';
import type { Engine, EnginePlugin } from '../../src/plugins/engine-plugin.ts';
import { fake } from '../../src/plugins/fake/index.ts';
import { placeholders } from '../../src/supervisor/command-line.ts';
import { defaultRestartLimits } from '../../src/supervisor/restart.ts';
import { model } from './support/model.ts';
import { isAlive, marked, real } from './support/real.ts';

const never = new AbortController().signal;
/** Quick enough to see several restarts, and a crash loop. */
const quick = { ...defaultRestartLimits, firstDelayMs: 10, longestDelayMs: 60_000 };

function assertPid(pid: number | undefined): number {
  assert.ok(pid !== undefined, 'no process');
  return pid;
}

test('two replicas come up, each a process of its own on a port and with a key of its own', async (t) => {
  const { apply, until, table, replica } = await real(t);
  apply(model({ replicas: 2 }));
  const views = await until(() => {
    const { replicas } = table().models.get(modelName('demo')) ?? {};
    return replicas?.length === 2 && replicas;
  });
  assert.equal(new Set(views.map(({ upstream }) => upstream)).size, 2);
  assert.equal(new Set(views.map(({ apiKey }) => apiKey)).size, 2);
  assert.equal(new Set(views.map(({ slot }) => slot)).size, 2);
  assert.deepEqual(
    views.map(({ maxInFlight }) => maxInFlight),
    [8, 8],
  );
  for (const { upstream, apiKey } of views) {
    const response = await fetch(`${upstream}/v1/models`, { headers: { authorization: `Bearer ${apiKey}` } });
    assert.equal(response.status, 200);
    await response.body?.cancel();
  }
  assert.notEqual(replica(0)?.pid, replica(1)?.pid);
});

test('kill -9: withdrawn because of the exit, not of a probe; started again, counted', async (t) => {
  const { apply, until, table, replica, report } = await real(t);
  apply(model({ replicas: 2 }));
  const count = (): number => table().models.get(modelName('demo'))?.replicas.length ?? 0;
  await until(() => count() === 2);
  const pid = assertPid(replica(0)?.pid);
  const killed = performance.now();
  process.kill(pid, 'SIGKILL');
  await until(() => count() === 1);
  const took = performance.now() - killed;
  assert.ok(took < 5000, `${took.toFixed(0)} ms; the next probe comes after 10 s`);
  await until(() => count() === 2);
  assert.notEqual(replica(0)?.pid, pid);
  assert.equal(replica(0)?.restarts, 1);
  assert.equal(report()?.restarts, 1);
  assert.equal(replica(0)?.lastError, undefined);
});

test('an engine that dies at boot: its last lines are the model’s status; it ends in a crash loop', async (t) => {
  const { apply, until, report, table } = await real(t, { restart: quick });
  apply(model({ engineOptions: { exit_at: 'boot', exit_code: 7, boot_error: 'CUDA out of memory: tried to allocate 2 GiB' } }));
  const first = await until(() => report()?.status.error);
  assert.equal(first.permanent, false);
  assert.equal(first.code, 'engine_exited');
  assert.match(
    first.message,
    /ended with exit code 7 while starting.*: out of memory\. Lower max_model_len.*\n {2}.*CUDA out of memory: tried to allocate 2 GiB/,
  );
  await until(() => report()?.status.phase === 'crash loop');
  assert.equal(report()?.restarts, 5);
  assert.equal(table().models.get(modelName('demo'))?.status.error?.permanent, true);
});

test('a permanent cause in the log ends the trying', async (t) => {
  const { apply, until, report, replica } = await real(t, { restart: quick });
  apply(model({ engineOptions: { exit_at: 'boot', boot_error: 'fake: error: invalid argument --bogus' } }));
  await until(() => replica()?.state === 'failed');
  assert.equal(replica()?.restarts, 0);
  const { error } = report()?.status ?? {};
  assert.equal(error?.permanent, true);
  assert.match(error?.message ?? '', /invalid option\. Correct the option in engine_kwargs\.\n {2}.*--bogus/);
  assert.match(await readFile(replica()?.logFile ?? '', 'utf8'), /--bogus/);
});

test('a missing engine fails once, names where it was looked for, and works once the config gives a command that exists', async (t) => {
  const commands = new Map<string, readonly [string, ...string[]]>([['fake', ['no-such-engine']]]);
  const { apply, until, replica } = await real(t, { commands, env: { ...process.env, PATH: '/nowhere/bin' } });
  apply(model());
  await until(() => replica()?.state === 'failed');
  assert.deepEqual(replica()?.lastError, {
    code: 'engine_missing',
    message: 'no-such-engine: not found on PATH (/nowhere/bin). The fake engine is part of this package and runs on its own Node.',
    permanent: true,
  });
  commands.set('fake', [process.execPath]);
  apply(model());
  await until(() => replica(1)?.state === 'ready');
});

test('an engine that is not ready in time is killed, with all that it says', async (t) => {
  const { apply, until, replica, report } = await real(t, { restart: { ...quick, firstDelayMs: 60_000 } });
  apply(model({ engineOptions: { ready_after_s: 3600 }, startupTimeoutMs: 3000 }));
  const pid = assertPid(await until(() => replica()?.pid));
  await until(() => replica()?.state === 'backing-off');
  assert.equal(isAlive(pid), false);
  assert.equal(report()?.status.error?.code, 'start_timeout');
  assert.match(report()?.status.error?.message ?? '', /not ready after 3 s .*last probe: GET \/health: 503/);
});

test('stop during a start does not wait for the engine’s grace, and leaves nothing', async (t) => {
  const { apply, until, replica, supervisor } = await real(t);
  apply(model({ engineOptions: { ready_after_s: 3600, ignore_sigterm: true, fork: 2 } }));
  const { pid, id } = await until(() => replica()?.phase === 'warming up' && replica());
  const begun = performance.now();
  await supervisor.stop(60_000, never);
  const took = performance.now() - begun;
  assert.ok(took < 4000, `${took.toFixed(0)} ms; the grace is 5 s`);
  assert.equal(isAlive(assertPid(pid)), false);
  assert.deepEqual(await marked(id ?? ''), []);
});

test('stop before anything was launched', async (t) => {
  const { apply, supervisor, replica } = await real(t);
  apply(model());
  await supervisor.stop(60_000, never);
  assert.equal(replica(), undefined);
});

test('a forked and a daemonised child go with their replica', async (t) => {
  const { apply, until, replica, supervisor } = await real(t);
  apply(model({ engineOptions: { fork: 2, daemonise: true } }));
  const { id } = await until(() => replica()?.state === 'ready' && replica());
  assert.ok((await marked(id ?? '')).length >= 3, 'the test needs the children');
  await supervisor.stop(0, never);
  assert.deepEqual(await marked(id ?? ''), []);
});

test('an engine that names another model is never routed to', async (t) => {
  const { apply, until, replica, tables } = await real(t);
  apply(model({ engineOptions: { models_id: 'other' } }));
  await until(() => replica()?.state === 'backing-off');
  assert.equal(replica()?.lastError?.code, 'model_mismatch');
  assert.match(replica()?.lastError?.message ?? '', /serves other; expected demo/);
  assert.ok(tables.every((table) => (table.models.get(modelName('demo'))?.replicas.length ?? 0) === 0));
});

test('an impostor on the engine’s port is not taken for it', async (t) => {
  const impostor = createServer((request, response) => response.writeHead(request.url === '/health' ? 200 : 401).end());
  t.after(() => {
    impostor.closeAllConnections();
    impostor.close();
  });
  const listening = Promise.withResolvers<void>();
  // Takes the port after it was found free, before the engine can.
  const stolen: EnginePlugin = {
    ...fake,
    configure: (options): Engine => {
      const engine = fake.configure({ ...options, listen_after_s: 3600 });
      return {
        ...engine,
        command: (launch) => {
          if (!impostor.listening && launch.port !== placeholders.port) impostor.listen(launch.port, '127.0.0.1', listening.resolve);
          return engine.command(launch);
        },
      };
    },
  };
  const { apply, until, replica, tables } = await real(t, { engines: new Map([['fake', stolen]]) });
  apply(model());
  await listening.promise;
  await until(() => replica()?.state === 'backing-off');
  assert.equal(replica()?.lastError?.code, 'model_mismatch');
  assert.match(replica()?.lastError?.message ?? '', /refuses our key/);
  assert.ok(tables.every((table) => (table.models.get(modelName('demo'))?.replicas.length ?? 0) === 0));
});

test('an impostor that says yes to any key and to our model is not taken for the engine either', async (t) => {
  const impostor = createServer((_, response) => response.end(JSON.stringify({ data: [{ id: 'demo' }] })));
  t.after(() => {
    impostor.closeAllConnections();
    impostor.close();
  });
  const stolen: EnginePlugin = {
    ...fake,
    configure: (options): Engine => {
      const engine = fake.configure({ ...options, listen_after_s: 3600 });
      return {
        ...engine,
        command: (launch) => {
          if (!impostor.listening && launch.port !== placeholders.port) impostor.listen(launch.port, '127.0.0.1');
          return engine.command(launch);
        },
      };
    },
  };
  const { apply, until, replica, tables } = await real(t, { engines: new Map([['fake', stolen]]) });
  apply(model());
  await until(() => replica()?.state === 'backing-off');
  assert.equal(replica()?.lastError?.code, 'model_mismatch');
  assert.match(replica()?.lastError?.message ?? '', /another process listens on http:/);
  assert.ok(tables.every((table) => (table.models.get(modelName('demo'))?.replicas.length ?? 0) === 0));
});

test('the command of a model wins over that of its engine', async (t) => {
  const commands = new Map<string, readonly [string, ...string[]]>([['fake', ['no-such-engine']]]);
  const { apply, until, replica } = await real(t, { commands });
  apply(model({ command: [process.execPath, '--no-warnings'] }));
  const { pid } = await until(() => replica()?.state === 'ready' && replica());
  assert.ok((await readFile(`/proc/${pid}/cmdline`, 'utf8')).includes('\0--no-warnings\0'));
});

test('a frozen engine is killed and replaced', async (t) => {
  const impatient: EnginePlugin = {
    ...fake,
    configure: (options): Engine => {
      const engine = fake.configure(options);
      return { ...engine, probes: { ...engine.probes, liveness: { path: '/health', timeoutMs: 100 } } };
    },
  };
  const { apply, until, replica } = await real(t, { engines: new Map([['fake', impatient]]) });
  apply(model({ health: { periodMs: 30, timeoutMs: 1 } }));
  const pid = assertPid(await until(() => replica()?.state === 'ready' && replica()?.pid));
  process.kill(pid, 'SIGSTOP');
  await until(() => replica()?.lastError);
  assert.match(replica()?.lastError?.message ?? '', /stopped answering its health probe \(GET \/health: no answer within 100 ms\)/);
  assert.equal(isAlive(pid), false);
  await until(() => replica()?.state === 'ready');
});

test('drain: a replica with a request on it lives until the request has ended', async (t) => {
  const { apply, until, replica, table, board } = await real(t);
  apply(model({ replicas: 2 }));
  const serving = (count: number): Promise<readonly ReplicaView[]> =>
    until(() => {
      const { replicas } = table().models.get(modelName('demo')) ?? {};
      return replicas?.length === count && replicas;
    });
  const views = await serving(2);
  for (const { slot } of views) board.add(0, slot, 1);
  apply(model({ replicas: 1 }));
  const [stayer] = await serving(1);
  const leaver = views.find(({ id }) => id !== stayer?.id) ?? assert.fail('nobody leaves');
  const index = replica(0)?.id === leaver.id ? 0 : 1;
  assert.equal(replica(index)?.state, 'draining');
  const pid = assertPid(replica(index)?.pid);
  assert.equal(isAlive(pid), true);
  board.add(0, leaver.slot, -1);
  await until(() => replica(index) === undefined);
  assert.equal(isAlive(pid), false);
  assert.equal(replica(1 - index)?.state, 'ready');
});

test('a hurried stop kills what is on its way out', async (t) => {
  const { apply, until, replica, supervisor } = await real(t);
  apply(model({ engineOptions: { ignore_sigterm: true } }));
  const pid = assertPid(await until(() => replica()?.state === 'ready' && replica()?.pid));
  const hurry = new AbortController();
  const stopped = supervisor.stop(60_000, hurry.signal);
  await until(() => replica()?.state === 'stopping');
  assert.equal(isAlive(pid), true);
  const begun = performance.now();
  hurry.abort(new Error('second signal'));
  await stopped;
  assert.ok(performance.now() - begun < 2000);
  assert.equal(isAlive(pid), false);
});

/** A request that is counted on the board, as a worker would; ends with the test. */
function ask(t: TestContext, board: LoadBoard, { slot, upstream, apiKey }: ReplicaView): void {
  const leave = new AbortController();
  t.after(() => leave.abort());
  board.add(0, slot, 1);
  const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' };
  const body = JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'hi' }] });
  fetch(`${upstream}/v1/chat/completions`, { method: 'POST', headers, body, signal: leave.signal }).then(
    (response) => response.text(),
    () => undefined,
  );
}

const longFirstByte = { maxWaiting: 16, queueTimeoutMs: 1000, firstByteTimeoutMs: 600_000, idleTimeoutMs: 60_000 };
const watchful = { health: { periodMs: 50, timeoutMs: 500 }, hangTimeoutMs: 600 };

test('an engine that hangs behind a healthy probe is killed and replaced; one in a long prefill is not', async (t) => {
  const { apply, until, board, table, replica } = await real(t);
  apply(model({ ...watchful, name: 'hung', engineOptions: { hang_after_requests: 0, health: 'lie' } }));
  const view = await until(() => table().models.get(modelName('hung'))?.replicas[0]);
  const first = assertPid(replica(0, 'hung')?.pid);
  ask(t, board, view);
  const message = await until(() => replica(0, 'hung')?.lastError?.message);
  assert.match(message, /hung: no byte for a request in flight in \d s, and its own counters stood still/);
  const second = await until(() => replica(0, 'hung')?.state === 'ready' && replica(0, 'hung')?.pid);
  assert.notEqual(second, first);
  assert.equal(isAlive(first), false);
});

/** Changes the engine's settings. */
async function control(view: ReplicaView, settings: object): Promise<void> {
  const headers = { authorization: `Bearer ${view.apiKey}`, 'content-type': 'application/json' };
  const response = await fetch(`${view.upstream}/fake/control`, { method: 'POST', headers, body: JSON.stringify(settings) });
  assert.equal(response.status, 200);
  await response.body?.cancel();
}

test('an engine whose counters move in a prefill outlives the time that proves a hang, though its probe is slow', async (t) => {
  const { apply, until, board, table, replica } = await real(t);
  const options = { prefill_s: 3600, health: 'slow:3000000' };
  apply(model({ ...watchful, replicas: 2, limits: longFirstByte }));
  const [busy, stuck] = await until(() => {
    const views = table().models.get(modelName('demo'))?.replicas;
    return views?.length === 2 && views;
  });
  assert.ok(busy && stuck);
  await control(busy, options);
  await control(stuck, { hang_after_requests: 0, health: 'lie' });
  const pids = [assertPid(replica(busy.index)?.pid), assertPid(replica(stuck.index)?.pid)];
  ask(t, board, busy);
  ask(t, board, stuck);
  // The one that hangs is the measure of time: what has as long been busy is still there.
  await until(() => replica(stuck.index)?.pid !== pids[1]);
  assert.equal(replica(busy.index)?.pid, pids[0]);
  assert.equal(replica(busy.index)?.state, 'ready');
  assert.equal(replica(busy.index)?.restarts, 0);
});

test('SIGSTOP: an engine that answers nothing while a request is on it is killed and replaced', async (t) => {
  const { apply, until, board, table, replica } = await real(t);
  apply(model({ ...watchful, limits: longFirstByte }));
  const view = await until(() => table().models.get(modelName('demo'))?.replicas[0]);
  const pid = assertPid(replica()?.pid);
  process.kill(pid, 'SIGSTOP');
  board.add(0, view.slot, 1);
  await until(() => replica()?.lastError?.code === 'engine_hung');
  assert.match(replica()?.lastError?.message ?? '', /answered nothing else either/);
  await until(() => replica()?.state === 'ready');
  assert.notEqual(replica()?.pid, pid);
});
