import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from 'undici';
import { carryOut, type Outcome } from './client.ts';
import { GatewayUnderSoak } from './gateway.ts';
import { type Finding, judge, type MemorySample } from './judge.ts';
import { type Kill, models, schedule } from './schedule.ts';

export interface SoakOptions {
  readonly seed: number;
  readonly durationMs: number;
  /** On average. */
  readonly killEveryMs: number;
  /** A folder for the gateway's state, which the caller removes. */
  readonly dir: string;
  readonly signal: AbortSignal;
  /** Shows what goes on. */
  readonly say: (line: string) => void;
}

const sampleEveryMs = 2000;
const reportEveryMs = 60_000;
/** For engines that were killed last to be up again. */
const recoveryMs = 60_000;

export interface SoakReport {
  readonly findings: readonly Finding[];
  /** Requests that ended as none should, with the reason. */
  readonly failures: readonly Outcome[];
}

/** Starts a gateway, puts the schedule on it, and judges what came of it. @throws Error when it does not start, or ends by itself */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  const { seed, durationMs, killEveryMs, dir, signal, say } = options;
  const plan = schedule(seed, durationMs, killEveryMs);
  const gateway = await GatewayUnderSoak.start(dir, signal);
  // The gateway closes connections that are idle for 5 s.
  const agent = new Agent({ pipelining: 1, keepAliveTimeout: 2000, keepAliveMaxTimeout: 2000 });
  const begun = performance.now();
  const elapsed = (): number => performance.now() - begun;
  const until = (atMs: number): Promise<void> => sleep(Math.max(0, atMs - elapsed()), undefined, { signal });
  try {
    await untilReady(gateway, signal);
    const memory: MemorySample[] = [];
    const outcomes: Outcome[] = [];
    const asking: Promise<void>[] = [];
    const kills = carryOutKills(gateway, plan.kills, until);
    const watching = new AbortController();
    const watched = watch(gateway, { memory, outcomes, elapsed, say, signal: watching.signal });
    try {
      for (const [at, ask] of plan.asks.entries()) {
        await until(ask.atMs);
        asking.push(carryOut(ask, `w${at}`, gateway.url, agent).then((outcome) => void outcomes.push(outcome)));
      }
      await Promise.all(asking);
    } finally {
      watching.abort();
    }
    await watched;
    const killed = await kills;
    await untilReady(gateway, signal);
    const counters = await gateway.counters();
    const ready = await gateway.readyReplicas();
    const exitCode = await gateway.stop();
    const enginesLeft = (await gateway.engines()).length;
    const { errorsLogged } = gateway;
    const evidence = { durationMs, outcomes, counters, ...killed, ready, wanted, memory, exitCode, enginesLeft, errorsLogged };
    const failures = outcomes.filter(({ end }) => !['complete', 'left', 'broken'].includes(end));
    return { findings: judge(evidence), failures };
  } finally {
    await agent.destroy();
    await gateway.stop();
    for (const pid of await gateway.engines()) process.kill(pid, 'SIGKILL');
  }
}

const wanted = models.reduce((sum, { replicas }) => sum + replicas, 0);

/** Resolves when every replica is ready, or after a minute. */
async function untilReady(gateway: GatewayUnderSoak, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + recoveryMs;
  while (performance.now() < deadline && (await gateway.readyReplicas()) < wanted) await sleep(100, undefined, { signal });
}

async function carryOutKills(
  gateway: GatewayUnderSoak,
  kills: readonly Kill[],
  until: (atMs: number) => Promise<void>,
): Promise<{ readonly kills: number; readonly killsMissed: number }> {
  let done = 0;
  for (const kill of kills) {
    await until(kill.atMs);
    if (await gateway.kill(kill)) done += 1;
  }
  return { kills: done, killsMissed: kills.length - done };
}

interface Watch {
  readonly memory: MemorySample[];
  readonly outcomes: readonly Outcome[];
  readonly elapsed: () => number;
  readonly say: (line: string) => void;
  /** Ends it, without an error. */
  readonly signal: AbortSignal;
}

/** Takes a sample of the gateway's memory every two seconds, and says every minute how far it is. */
async function watch(gateway: GatewayUnderSoak, { memory, outcomes, elapsed, say, signal }: Watch): Promise<void> {
  let reported = 0;
  while (!signal.aborted && gateway.running) {
    const mib = await gateway.rss();
    memory.push({ atMs: elapsed(), mib });
    if (elapsed() >= reported + reportEveryMs) {
      reported += reportEveryMs;
      const lost = outcomes.filter(({ end }) => end === 'lost' || end === 'refused').length;
      say(`${Math.round(elapsed() / 1000)} s: ${outcomes.length} requests, ${lost} lost or refused, RSS ${mib.toFixed(0)} MiB`);
    }
    await sleep(sampleEveryMs, undefined, { signal }).catch(() => undefined);
  }
}
