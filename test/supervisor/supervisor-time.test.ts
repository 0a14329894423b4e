import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Slot } from '../../src/core/ids.ts';
import { modelName } from '../../src/core/ids.ts';
import type { ModelConfig } from '../../src/config/config.ts';
import { settle } from '../support/manual-clock.ts';
import { simulate } from './support/memory.ts';
import type { Simulation } from './support/memory.ts';
import { model } from './support/model.ts';

/** Waits long for the first byte, so that it is not that which ends a replica. */
const patient = { maxWaiting: 16, queueTimeoutMs: 1000, firstByteTimeoutMs: 600_000, idleTimeoutMs: 60_000 };
const never = new AbortController().signal;

async function serving(sim: Simulation, ...models: readonly ModelConfig[]): Promise<void> {
  sim.apply(...models);
  await sim.clock.advance(100);
}

function slotOf(sim: Simulation, index = 0): Slot {
  const view = sim.views()[index];
  assert.ok(view, `no replica ${index} in the table`);
  return view.slot;
}

test('a replica that was ready and dies is withdrawn in the same turn and started again without delay', async () => {
  const sim = simulate();
  await serving(sim, model());
  const first = sim.views()[0];
  const version = sim.tables.at(-1)?.version ?? 0;
  sim.provider.processes[0]?.exit();
  await settle();
  assert.deepEqual(sim.tables.find((table) => table.version === version + 1)?.models.get(modelName('demo'))?.replicas, []);
  await sim.clock.advance(0);
  assert.equal(sim.provider.processes.length, 2, 'started again, with no time gone by');
  const second = sim.views()[0];
  assert.notEqual(second?.id, first?.id);
  assert.equal(sim.supervisor.status()[0]?.restarts, 1);
});

test('a replica may start more often than the board has slots', async () => {
  const sim = simulate(3);
  await serving(sim, model());
  for (let run = 0; run < 10; run += 1) {
    sim.provider.processes.at(-1)?.exit();
    await sim.clock.advance(700_000);
    assert.deepEqual(sim.states(), ['ready'], `after ${run + 1} restarts`);
  }
});

test('back-off: a replica that dies again and again is started later and later, then counts as a crash loop', async () => {
  const sim = simulate();
  sim.provider.prepare = (process) => process.exit({ code: 1, signal: null });
  sim.apply(model());
  const startsAfter = async (ms: number): Promise<number> => {
    await sim.clock.advance(ms);
    return sim.provider.processes.length;
  };
  assert.equal(await startsAfter(0), 1);
  assert.deepEqual(sim.states(), ['backing-off']);
  assert.equal(await startsAfter(990), 1);
  assert.equal(await startsAfter(20), 2);
  assert.equal(await startsAfter(2010), 3);
  assert.equal(await startsAfter(4010), 4);
  assert.equal(await startsAfter(8010), 5);
  assert.equal(await startsAfter(16_010), 6);
  const report = sim.supervisor.status()[0];
  assert.deepEqual(sim.states(), ['crash-loop']);
  assert.equal(report?.status.phase, 'crash loop');
  assert.equal(report?.status.error?.permanent, true, 'nobody should wait for it');
  assert.match(report?.status.error?.message ?? '', /ended with exit code 1 while starting/);
  assert.equal(await startsAfter(299_000), 6);
  assert.equal(await startsAfter(2000), 7, 'it is tried again');
  sim.provider.prepare = () => undefined;
  await sim.clock.advance(301_000);
  assert.deepEqual(sim.states(), ['ready'], 'and comes back when its cause is gone');
  assert.equal(sim.supervisor.status()[0]?.status.error, undefined);
});

test('one model in a crash loop does not disturb another', async () => {
  const sim = simulate();
  sim.provider.prepare = (process) => {
    if (process.spec.model.name === modelName('bad')) process.exit({ code: 1, signal: null });
  };
  sim.apply(model({ name: 'bad', replicas: 3 }), model({ name: 'good' }));
  await sim.clock.advance(60_000);
  assert.deepEqual(sim.states('good'), ['ready']);
  assert.deepEqual(sim.states('bad'), ['crash-loop', 'crash-loop', 'crash-loop']);
  assert.equal(
    sim.tables.every((table) => (table.models.get(modelName('bad'))?.replicas.length ?? 0) === 0),
    true,
  );
});

test('a slow start is waited for until its deadline, then killed and tried again', async () => {
  const sim = simulate();
  sim.provider.prepare = (process) => {
    process.health = 503;
  };
  sim.apply(model({ startupTimeoutMs: 900_000 }));
  await sim.clock.advance(0);
  sim.provider.processes[0]?.print('fake: loading model');
  await sim.clock.advance(899_000);
  assert.deepEqual(sim.states(), ['starting']);
  assert.equal(sim.supervisor.status()[0]?.replicas[0]?.phase, 'loading model');
  assert.equal(sim.tables.at(-1)?.models.get(modelName('demo'))?.status.phase, 'loading model');
  await sim.clock.advance(1500);
  assert.deepEqual(sim.provider.processes[0]?.stops, [0], 'killed without grace');
  const { error } = sim.supervisor.status()[0]?.status ?? {};
  assert.equal(error?.code, 'start_timeout');
  assert.match(error?.message ?? '', /not ready after 900 s .*in phase "loading model"; last probe: GET \/health: 503/);
  assert.equal(error?.permanent, false);
  await sim.clock.advance(2000);
  assert.equal(sim.provider.processes.length, 2);
});

test('an engine that serves another model is never routed to', async () => {
  const sim = simulate();
  sim.provider.prepare = (process) => {
    process.serves = 'other';
  };
  await serving(sim, model());
  assert.deepEqual(sim.states(), ['backing-off']);
  assert.equal(sim.supervisor.status()[0]?.status.error?.code, 'model_mismatch');
  assert.deepEqual(sim.provider.alive, []);
  assert.ok(sim.tables.every((table) => table.models.get(modelName('demo'))?.replicas.length === 0));
});

test('an idle replica that refuses three probes in a row is killed and replaced; two are forgiven', async () => {
  const sim = simulate();
  await serving(sim, model({ health: { periodMs: 1000, timeoutMs: 500 } }));
  const [process] = sim.provider.processes;
  assert.ok(process);
  process.health = 503;
  await sim.clock.advance(2000);
  process.health = 200;
  await sim.clock.advance(1000);
  assert.equal(sim.supervisor.status()[0]?.replicas[0]?.probeFlaps, 1);
  process.health = 503;
  await sim.clock.advance(2800);
  assert.equal(process.alive, true);
  await sim.clock.advance(200);
  assert.equal(process.alive, false);
  assert.equal(sim.provider.processes.length, 2);
});

test('a replica whose health probe is only slow leaves the table, is not killed, and comes back after two answers', async () => {
  const sim = simulate();
  await serving(sim, model({ health: { periodMs: 10_000, timeoutMs: 5000 } }));
  const [process] = sim.provider.processes;
  assert.ok(process);
  process.steps = 7;
  process.healthSilent = true;
  await sim.clock.advance(70_000);
  assert.equal(sim.views().length, 0, 'still gets requests');
  assert.equal(sim.supervisor.status()[0]?.status.phase, 'not answering its health probe');
  await sim.clock.advance(600_000);
  assert.equal(process.alive, true, 'killed for being slow');
  process.healthSilent = false;
  await sim.clock.advance(45_000);
  assert.equal(sim.views().length, 1);
});

test('a busy replica is not killed for missed probes while bytes come, and only after a minute when none do', async () => {
  const sim = simulate();
  await serving(sim, model({ health: { periodMs: 1000, timeoutMs: 500 }, limits: patient }));
  const [process] = sim.provider.processes;
  assert.ok(process);
  const slot = slotOf(sim);
  sim.board.add(0, slot, 1);
  process.health = 503;
  for (let second = 0; second < 120; second += 1) {
    sim.board.moved(0, slot);
    await sim.clock.advance(1000);
  }
  assert.equal(process.alive, true, 'killed although it sent bytes');
  await sim.clock.advance(58_000);
  assert.equal(process.alive, true, 'killed too early');
  await sim.clock.advance(5000);
  assert.equal(process.alive, false);
  assert.match(sim.supervisor.status()[0]?.replicas[0]?.state ?? '', /starting|ready/);
});

test('an engine with a request whose counters stand still is killed after a minute, though its probe is answered', async () => {
  const sim = simulate();
  await serving(sim, model({ limits: patient }));
  const [process] = sim.provider.processes;
  assert.ok(process);
  process.steps = 7;
  sim.board.add(0, slotOf(sim), 1);
  for (let round = 0; round < 60; round += 1) {
    process.steps += 1;
    await sim.clock.advance(10_000);
  }
  assert.equal(process.alive, true, 'killed in a long prefill');
  await sim.clock.advance(59_000);
  assert.equal(process.alive, true, 'killed too early');
  sim.provider.prepare = (next) => {
    next.health = 503;
  };
  await sim.clock.advance(12_000);
  assert.equal(process.alive, false);
  const error = sim.supervisor.status()[0]?.status.error;
  assert.equal(error?.code, 'engine_hung');
  assert.match(error?.message ?? '', /hung: no byte for a request in flight in 60 s, and its own counters stood still .*; it was killed$/);
});

test('at rest nothing but the health probe is asked, once each period', async () => {
  const sim = simulate();
  const asked: string[] = [];
  const { get } = sim.provider;
  sim.provider.get = (url, apiKey, signal, ca) => {
    asked.push(url.slice(url.lastIndexOf('/')));
    return get(url, apiKey, signal, ca);
  };
  await serving(sim, model({ replicas: 3 }));
  asked.length = 0;
  await sim.clock.advance(60_000);
  assert.deepEqual(
    asked,
    Array.from({ length: 18 }, () => '/health'),
  );
});

test('replicas that became ready at any time are probed together, and never later than each period', async () => {
  const sim = simulate();
  const asked = new Map<string, number[]>();
  const { get } = sim.provider;
  sim.provider.get = (url, apiKey, signal, ca) => {
    asked.set(url, [...(asked.get(url) ?? []), sim.clock.now()]);
    return get(url, apiKey, signal, ca);
  };
  for (const [replicas, ms] of [1, 2, 3].map((count) => [count, 137 * count] as const)) {
    sim.apply(model({ replicas }));
    await sim.clock.advance(ms);
  }
  asked.clear();
  await sim.clock.advance(60_000);
  assert.equal(asked.size, 3);
  for (const times of asked.values()) {
    assert.ok(
      times.every((time) => time % 500 === 0),
      times.join(),
    );
    assert.ok(
      times.every((time, at) => at === 0 || time - (times[at - 1] ?? 0) === 10_000),
      times.join(),
    );
  }
});

test('a drained replica is stopped only when both facts hold: no table has it, and nothing is in flight', async () => {
  const sim = simulate();
  await serving(sim, model({ replicas: 2, drainTimeoutMs: 600_000 }));
  const slot = slotOf(sim, 1);
  const [, process] = sim.provider.processes;
  assert.ok(process);
  // Or the one without requests would go instead.
  sim.board.add(0, slotOf(sim, 0), 1);
  sim.board.add(0, slot, 1);
  sim.applied = sim.tables.at(-1)?.version;
  sim.apply(model({ replicas: 1, drainTimeoutMs: 600_000 }));
  await sim.clock.advance(1000);
  assert.equal(sim.views().length, 1);
  sim.board.add(0, slot, -1);
  await sim.clock.advance(1000);
  assert.deepEqual(process.stops, [], 'stopped before every worker had let go of it');
  sim.board.add(0, slot, 1);
  sim.applied = undefined;
  sim.supervisor.applied();
  await sim.clock.advance(1000);
  assert.deepEqual(process.stops, [], 'stopped with a request on it');
  sim.board.add(0, slot, -1);
  await sim.clock.advance(100);
  assert.deepEqual(process.stops, [5000], 'stopped politely');
  assert.equal(sim.states().length, 1);
});

test('a drain ends at its deadline, requests or not', async () => {
  const sim = simulate();
  await serving(sim, model({ replicas: 2, drainTimeoutMs: 5000 }));
  // Or the one without requests would go instead.
  sim.board.add(0, slotOf(sim, 0), 1);
  sim.board.add(0, slotOf(sim, 1), 1);
  sim.apply(model({ replicas: 1, drainTimeoutMs: 5000 }));
  await sim.clock.advance(4900);
  assert.deepEqual(sim.states(), ['ready', 'draining']);
  await sim.clock.advance(200);
  assert.deepEqual(sim.states(), ['ready']);
});

test('demand that returns during a drain takes the replica back: same process, same slot, watched again', async () => {
  const sim = simulate();
  await serving(sim, model({ replicas: 2 }));
  const slot = slotOf(sim, 1);
  // Or the one without requests would go instead.
  sim.board.add(0, slotOf(sim, 0), 1);
  sim.board.add(0, slot, 1);
  sim.supervisor.scale(modelName('demo'), 1);
  await sim.clock.advance(1000);
  assert.deepEqual(sim.states(), ['ready', 'draining']);
  assert.equal(sim.views().length, 1);
  sim.supervisor.scale(modelName('demo'), 2);
  await settle();
  assert.deepEqual(sim.states(), ['ready', 'ready']);
  assert.equal(sim.views()[1]?.slot, slot);
  assert.equal(sim.provider.processes.length, 2);
  sim.board.add(0, slot, -1);
  await sim.clock.advance(60_000);
  assert.deepEqual(sim.states(), ['ready', 'ready']);
  const second = sim.provider.processes[1];
  if (second !== undefined) second.health = 503;
  await sim.clock.advance(120_000);
  assert.equal(second?.alive, false, 'nobody watched the one that was taken back');
});

test('what a model yields to another one is not taken back', async () => {
  const sim = simulate();
  await serving(sim, model({ replicas: 1 }));
  sim.board.add(0, slotOf(sim), 1);
  sim.supervisor.scale(modelName('demo'), 0, { yields: true });
  await settle();
  sim.supervisor.scale(modelName('demo'), 1);
  await sim.clock.advance(1000);
  assert.deepEqual(sim.states(), ['draining', 'ready']);
  assert.equal(sim.provider.processes.length, 2);
});

test('a changed model is replaced without a gap; settings that need no new process are taken over', async () => {
  const sim = simulate();
  await serving(sim, model());
  const [first] = sim.provider.processes;
  sim.apply(model({ maxOngoing: 3, limits: { ...model().limits, maxWaiting: 99 } }));
  await settle();
  assert.equal(sim.views()[0]?.maxInFlight, 3);
  assert.equal(sim.tables.at(-1)?.models.get(modelName('demo'))?.limits.maxWaiting, 99);
  assert.equal(sim.provider.processes.length, 1);
  sim.apply(model({ engineOptions: { seed: 1 } }));
  await sim.clock.advance(1000);
  assert.equal(first?.alive, false);
  assert.equal(sim.provider.alive.length, 1);
  const served = sim.tables.map((table) => table.models.get(modelName('demo'))?.replicas.length ?? 0);
  assert.equal(served.slice(served.indexOf(1)).includes(0), false, 'there was a table without a replica');
});

test('a model that leaves the config is forgotten at once and its replicas drain', async () => {
  const sim = simulate();
  await serving(sim, model({ name: 'demo' }), model({ name: 'other' }));
  sim.board.add(0, slotOf(sim), 1);
  sim.apply(model({ name: 'other' }));
  await sim.clock.advance(100);
  assert.deepEqual([...(sim.tables.at(-1)?.models.keys() ?? [])], ['other']);
  assert.equal(sim.provider.alive.length, 2);
  await sim.clock.advance(10_000);
  assert.equal(sim.provider.alive.length, 1);
});

test('a config that cannot be applied changes nothing', async () => {
  const sim = simulate(3);
  await serving(sim, model());
  const before = sim.tables.length;
  assert.throws(() => sim.apply(model(), model({ name: 'b', engine: 'nope' })), {
    code: 'config_invalid',
    message: /b: no engine "nope"; there are fake/,
  });
  assert.throws(() => sim.apply(model({ engineOptions: { nonsense: 1 } })), { code: 'config_invalid' });
  assert.throws(() => sim.apply(...['a', 'b', 'c', 'd'].map((name) => model({ name }))), {
    code: 'config_invalid',
    message: /more slots than the load board has \(3\)/,
  });
  await sim.clock.advance(1000);
  assert.equal(sim.tables.length, before);
  assert.deepEqual(sim.states(), ['ready']);
  sim.apply(model(), model({ name: 'b' }));
  await sim.clock.advance(1000);
  assert.deepEqual([...(sim.tables.at(-1)?.models.keys() ?? [])], ['demo', 'b'], 'the slots taken for the refused config came back');
});

test('at most eight engines start at a time', async () => {
  const sim = simulate();
  sim.provider.prepare = (process) => {
    process.health = 503;
  };
  sim.apply(model({ replicas: 12 }));
  await sim.clock.advance(0);
  assert.equal(sim.provider.processes.length, 8);
  assert.deepEqual(new Set(sim.states()), new Set(['starting', 'pending']));
  for (const process of sim.provider.processes) process.health = 200;
  sim.provider.prepare = () => undefined;
  await sim.clock.advance(2000);
  assert.equal(sim.views().length, 12);
});

test('stop while a launch is under way leaves nothing, whether the launch ends before or after', async () => {
  const sim = simulate();
  const gate = Promise.withResolvers<void>();
  sim.provider.gate = gate.promise;
  sim.apply(model());
  await settle();
  assert.deepEqual(sim.states(), ['starting']);
  await sim.supervisor.stop(10_000, never);
  gate.resolve();
  await settle();
  assert.deepEqual(sim.provider.processes, []);
  assert.equal(sim.clock.pending, 0, 'a timer is left');
});

test('a launch that fails without a process is a failure like any other', async () => {
  const sim = simulate();
  sim.provider.gate = Promise.reject(new Error('too many open files'));
  sim.provider.gate.catch(() => undefined);
  sim.apply(model());
  await settle();
  assert.deepEqual(sim.states(), ['backing-off']);
  assert.deepEqual(sim.supervisor.status()[0]?.status.error, { code: 'start_failed', message: 'too many open files', permanent: false });
  sim.provider.gate = Promise.resolve();
  await sim.clock.advance(2000);
  assert.deepEqual(sim.states(), ['ready']);
});

test('stop drains, keeps the models in the table, and hurries when asked', async () => {
  const sim = simulate();
  await serving(sim, model({ replicas: 2 }));
  sim.board.add(0, slotOf(sim, 0), 1);
  for (const process of sim.provider.processes) process.stubborn = true;
  const hurry = new AbortController();
  let over = false;
  const stopped = sim.supervisor.stop(60_000, hurry.signal).then(() => (over = true));
  await sim.clock.advance(1000);
  assert.deepEqual(sim.states(), ['draining', 'stopping']);
  assert.deepEqual([...(sim.tables.at(-1)?.models.keys() ?? [])], ['demo']);
  hurry.abort(new Error('second signal'));
  await sim.clock.advance(1000);
  assert.deepEqual(
    sim.provider.processes.map(({ stops }) => stops),
    [[0], [5000, 0]],
  );
  assert.equal(over, false);
  for (const process of sim.provider.processes) process.exit();
  await stopped;
  assert.equal(sim.clock.pending, 0, 'a timer is left');
});

test('a hurried stop does not wait for ever for a process that cannot be killed', async () => {
  const sim = simulate();
  await serving(sim, model());
  for (const process of sim.provider.processes) process.stubborn = true;
  const stopped = sim.supervisor.stop(60_000, AbortSignal.abort());
  await sim.clock.advance(5000);
  await stopped;
});

test('at rest nothing is published and no timer but the probe’s runs', async () => {
  const sim = simulate();
  await serving(sim, model());
  const before = sim.tables.length;
  await sim.clock.advance(600_000);
  sim.supervisor.applied();
  assert.equal(sim.tables.length, before);
  assert.ok(sim.clock.pending <= 1, `${sim.clock.pending} timers`);
});

test('what a failure quotes of the log shows no secret, neither by its value nor by its form', async () => {
  const sim = simulate();
  sim.provider.prepare = (process) => {
    process.log.push('token is sesame-open, our key is key-of-the-run', 'GET https://host/w?X-Amz-Signature=deadbeef 403');
    process.exit({ code: 1, signal: null });
  };
  sim.apply(model({ env: { HF_TOKEN: 'sesame-open' } }));
  await sim.clock.advance(0);
  const message = sim.supervisor.status()[0]?.replicas[0]?.lastError?.message ?? '';
  assert.match(message, /token is \[redacted\], our key is \[redacted\]\n.*X-Amz-Signature=\[redacted\] 403/);
  assert.equal(sim.supervisor.redact('sesame-open and key-of-the-run'), '[redacted] and [redacted]');
});
