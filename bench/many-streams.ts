import { setTimeout as sleep } from 'node:timers/promises';
import { readRssMib } from './measure/proc.ts';
import { addRound } from './report/measurements.ts';
import { added, type Bench, cpuOf, pidsOf, rotated } from './scenarios.ts';
import type { System } from './systems/system.ts';

const streams = 2000;
/** Two chunks a second each; more of them than any round lasts. */
const order = { chunks: 1_000_000, intervalMs: 500 };
/** For what the opening has set off to come to rest. */
const settleMs = 1500;
const windowMs = 3000;

/**
 * What a system adds to the time until a stream's first event while it carries 2000 others: streams to the upstream and through the
 * system, in turn. A stream that fails ends the run.
 */
export async function manyStreams(bench: Bench): Promise<void> {
  const { systems, pace } = bench;
  bench.say(`${streams} streams of two chunks a second, and new ones beside them, ${pace.manyRounds} rounds`);
  for (let round = 0; round < pace.manyRounds; round += 1) {
    for (const system of rotated(systems, round)) await carry(bench, system);
  }
}

async function carry(bench: Bench, system: System): Promise<void> {
  const { generator, results, signal, upstreamPort, pace } = bench;
  await generator.ask({ kind: 'open-streams', port: system.port, streams, order }, 'events');
  await sleep(settleMs, undefined, { signal });
  const { us } = await cpuOf(bench, system, () => sleep(windowMs, undefined, { signal }));
  addRound(results, 'many-cpu', system.name, us / windowMs);
  const ports = [upstreamPort, system.port];
  await generator.ask({ kind: 'first-events', ports, count: 100 }, 'latencies');
  const { ms } = await generator.ask({ kind: 'first-events', ports, count: 4 * pace.latencyRequests }, 'latencies');
  addRound(results, 'many-added-p50', system.name, added(ms, 0, 0.5));
  addRound(results, 'many-added-p99', system.name, added(ms, 0, 0.99));
  addRound(results, 'many-rss', system.name, await readRssMib(await pidsOf(bench, system)));
  await generator.ask({ kind: 'close-streams' }, 'events');
  await sleep(settleMs, undefined, { signal });
}
