import { setTimeout as sleep } from 'node:timers/promises';
import type { BodyName } from './load/bodies.ts';
import type { GeneratorClient } from './load/generator-client.ts';
import { cpuBetween, processTree, readCpu, readProcesses, readRssMib } from './measure/proc.ts';
import { percentile } from './measure/statistics.ts';
import { addRound, type Measurements, type MetricName } from './report/measurements.ts';
import type { System, SystemName } from './systems/system.ts';
import { upstreamPid } from './systems/upstream.ts';

/** How long everything takes, chosen so that the defaults stay under 4 minutes and `--quick` under 40 seconds. */
export interface Pace {
  readonly rounds: number;
  readonly roundMs: number;
  readonly warmUpMs: number;
  readonly streamRounds: number;
  readonly streamMs: number;
  /** Of streams that are not counted, until V8 has compiled what they need: at their few events a second that takes it longer than requests. */
  readonly streamWarmUpMs: number;
  readonly manyRounds: number;
  readonly idleMs: number;
  /** Requests to each system in one block, and blocks. */
  readonly latencyRequests: number;
  readonly latencyRounds: number;
}

export const fullPace: Pace = {
  rounds: 5,
  roundMs: 1200,
  warmUpMs: 1200,
  streamRounds: 5,
  streamMs: 3000,
  streamWarmUpMs: 6000,
  manyRounds: 3,
  idleMs: 3000,
  latencyRequests: 250,
  latencyRounds: 8,
};
export const quickPace: Pace = {
  rounds: 2,
  roundMs: 400,
  warmUpMs: 400,
  streamRounds: 1,
  streamMs: 2000,
  streamWarmUpMs: 400,
  manyRounds: 1,
  idleMs: 1000,
  latencyRequests: 150,
  latencyRounds: 3,
};

export interface Bench {
  readonly systems: readonly System[];
  readonly upstreamPort: number;
  readonly generator: GeneratorClient;
  readonly pace: Pace;
  readonly signal: AbortSignal;
  readonly results: Measurements;
  /** Shows what is being done. */
  say(line: string): void;
}

const connections = 16;
const idleStreams = 500;
const busyStreams = 100;
const chunkIntervalMs = 20;
/** Who cannot carry so many chunks a second: of LiteLLM 1.108 a hundred streams do not even begin within a minute. */
const overwhelmed: ReadonlySet<SystemName> = new Set(['litellm']);
/** More than any run lasts. */
const endless = 1_000_000;
/** For what a load has set off to come to rest before the CPU time is read. */
const settleMs = 150;

/** The system's own processes: all that it started, but not the upstream, which the gateway runs as its engine. */
export async function pidsOf(bench: Bench, system: System): Promise<readonly number[]> {
  const engine = await upstreamPid(bench.upstreamPort, bench.signal);
  return processTree(await readProcesses(), system.launched.pid, [engine]);
}

/** Microseconds of CPU the system used while `work` ran and came to rest. */
export async function cpuOf<T>(bench: Bench, system: System, work: () => Promise<T>): Promise<{ readonly us: number; readonly result: T }> {
  const pids = await pidsOf(bench, system);
  const before = await readCpu(pids);
  const result = await work();
  await sleep(settleMs, undefined, { signal: bench.signal });
  return { us: cpuBetween(before, await readCpu(pids)), result };
}

/** Each round begins with another system, so that none always comes after the same one. */
export function rotated<T>(all: readonly T[], by: number): readonly T[] {
  const at = all.length === 0 ? 0 : by % all.length;
  return [...all.slice(at), ...all.slice(0, at)];
}

/** Memory and CPU of systems that have served nothing yet but their own start, then with streams open that say nothing. */
export async function memory(bench: Bench): Promise<void> {
  const { generator, pace, results, signal } = bench;
  bench.say(`at rest, then ${idleStreams} idle streams`);
  await sleep(1000, undefined, { signal });
  const resting = await Promise.all(
    bench.systems.map(async (system) => {
      const pids = await pidsOf(bench, system);
      return { system, pids, before: await readCpu(pids) };
    }),
  );
  await sleep(pace.idleMs, undefined, { signal });
  for (const { system, pids, before } of resting)
    addRound(results, 'idle-cpu', system.name, cpuBetween(before, await readCpu(pids)) / pace.idleMs);
  for (const { system, pids } of resting) {
    addRound(results, 'rss-rest', system.name, await readRssMib(pids));
    await generator.ask(
      { kind: 'open-streams', port: system.port, streams: idleStreams, order: { chunks: endless, intervalMs: 0 } },
      'events',
    );
    await sleep(500, undefined, { signal });
    addRound(results, 'rss-streams', system.name, await readRssMib(pids));
    await generator.ask({ kind: 'close-streams' }, 'events');
  }
}

/** Until V8 has compiled what is hot: the first seconds of a process tell nothing of the hours after. */
export async function warmUp(bench: Bench): Promise<void> {
  const { generator, pace } = bench;
  bench.say('warming up');
  for (const { port } of bench.systems) {
    await generator.ask({ kind: 'closed-loop', port, body: '1k', connections, durationMs: 3 * pace.warmUpMs }, 'requests');
  }
}

/** CPU of a non-streaming request, all connections always busy. */
export async function requests(bench: Bench, body: BodyName): Promise<void> {
  const { generator, pace, results } = bench;
  bench.say(`${body} bodies, ${connections} connections, ${pace.rounds} rounds`);
  const load = (system: System, durationMs: number) =>
    generator.ask({ kind: 'closed-loop', port: system.port, body, connections, durationMs }, 'requests');
  for (const system of bench.systems) await load(system, pace.warmUpMs);
  for (let round = 0; round < pace.rounds; round += 1) {
    for (const system of rotated(bench.systems, round)) {
      const { us, result } = await cpuOf(bench, system, () => load(system, pace.roundMs));
      addRound(results, `request-${body}`, system.name, us / result.answered);
      addRound(results, `rate-${body}`, system.name, result.answered / (result.elapsedMs / 1000));
    }
  }
}

/** CPU of a streamed chunk, opening and closing left out. */
export async function streams(bench: Bench): Promise<void> {
  const { pace, results } = bench;
  bench.say(`${busyStreams} streams, a chunk every ${chunkIntervalMs} ms, ${pace.streamRounds} rounds of ${pace.streamMs} ms`);
  const systems = bench.systems.filter(({ name }) => !overwhelmed.has(name));
  for (const system of systems) await streamFor(bench, system, pace.streamWarmUpMs);
  for (let round = 0; round < pace.streamRounds; round += 1) {
    for (const system of rotated(systems, round)) {
      addRound(results, 'chunk', system.name, await streamFor(bench, system, pace.streamMs));
    }
  }
}

async function streamFor(bench: Bench, system: System, durationMs: number): Promise<number> {
  const { generator, signal } = bench;
  const order = { chunks: endless, intervalMs: chunkIntervalMs };
  await generator.ask({ kind: 'open-streams', port: system.port, streams: busyStreams, order }, 'events');
  await sleep(300, undefined, { signal });
  const pids = await pidsOf(bench, system);
  const [before, first] = [await readCpu(pids), await generator.ask({ kind: 'count-events' }, 'events')];
  await sleep(durationMs, undefined, { signal });
  const [after, last] = [await readCpu(pids), await generator.ask({ kind: 'count-events' }, 'events')];
  await generator.ask({ kind: 'close-streams' }, 'events');
  await sleep(settleMs, undefined, { signal });
  return cpuBetween(before, after) / (last.events - first.events);
}

const latencyBodies: readonly { readonly body: BodyName; readonly half: MetricName; readonly tail: MetricName }[] = [
  { body: '1k', half: 'added-p50-1k', tail: 'added-p99-1k' },
  { body: '32k-many', half: 'added-p50-32k', tail: 'added-p99-32k' },
];

/** What each system adds to the upstream's own answer time while nothing else is asked of it. */
export async function latency(bench: Bench): Promise<void> {
  const { generator, pace, results } = bench;
  bench.say(`one request at a time, ${pace.latencyRounds} rounds of ${pace.latencyRequests} to the upstream and to each system in turn`);
  const ports = [bench.upstreamPort, ...bench.systems.map((system) => system.port)];
  for (const { body, half, tail } of latencyBodies) {
    await generator.ask({ kind: 'latency', ports, body, count: pace.latencyRequests }, 'latencies');
    const pooled: number[][] = ports.map(() => []);
    for (let round = 0; round < pace.latencyRounds; round += 1) {
      const { ms } = await generator.ask({ kind: 'latency', ports, body, count: pace.latencyRequests }, 'latencies');
      for (const [at, samples] of ms.entries()) pooled[at]?.push(...samples);
      for (const [at, system] of bench.systems.entries()) addRound(results, half, system.name, added(ms, at, 0.5));
    }
    for (const [at, system] of bench.systems.entries()) addRound(results, tail, system.name, added(pooled, at, 0.99));
  }
}

/** Milliseconds at a percentile above those of the first row, which is the upstream's own. */
export function added(rows: readonly (readonly number[])[], system: number, fraction: number): number {
  const [direct, ...through] = rows;
  return percentile(through[system] ?? [], fraction) - percentile(direct ?? [], fraction);
}
