import type { LoadBoard } from '../core/board.ts';
import type { Slot } from '../core/ids.ts';
import type { ModelConfig } from '../config/config.ts';
import type { Engine } from '../plugins/engine-plugin.ts';
import type { FailureReason } from './failure.ts';
import { judge, newHealth } from './health.ts';
import type { Health, HealthLimits, Sight, Work } from './health.ts';
import { getPage, probeHealth } from './probe.ts';
import type { ProbeDeps, ProbeTarget } from './probe.ts';

export interface WatchDeps extends ProbeDeps {
  readonly board: Pick<LoadBoard, 'read' | 'readProgress'>;
}

export interface Watched {
  readonly target: ProbeTarget;
  readonly slot: Slot;
  /** Read anew each time: a reload may change them. */
  settings(): { readonly model: ModelConfig; readonly engine: Engine };
}

export interface WatchEvents {
  /** What a missed probe got, e.g. `GET /health: 503`. */
  missed(seen: string): void;
  /** The first answered probe after a missed one. */
  recovered(): void;
  /** Whether it may get requests has changed. */
  serving(serving: boolean): void;
  /** To be killed; the last thing that is said. */
  condemned(reason: FailureReason): void;
}

const missesAllowed = 3;
const oksNeeded = 2;
/** Looks at the load board within the time that proves a hang. */
const looksUntilHung = 6;
const shortestTimeoutMs = 1_000;
/** Looks fall on the same beats for all replicas: hundreds that wake this thread one by one cost it several times what they do together. */
const longestBeatMs = 500;
const beatsPerTick = 20;
/** How late a look may be before it counts as one after a pause of the gateway itself. */
const slackMs = 5_000;

function timesOf({ model, engine }: ReturnType<Watched['settings']>): { tickMs: number; timeoutMs: number; limits: HealthLimits } {
  const { periodMs } = model.health;
  const hungAfterMs = model.hangTimeoutMs;
  // The engine's own figure is a floor: some take seconds to answer although they are well.
  const timeoutMs = Math.max(model.health.timeoutMs, engine.probes.liveness.timeoutMs);
  const limits = {
    missesAllowed,
    oksNeeded,
    hungAfterMs,
    quietAfterMs: Math.max(hungAfterMs, model.limits.firstByteTimeoutMs),
    // Two questions may follow one another.
    lateMs: periodMs + 2 * timeoutMs + slackMs,
    countersProve: engine.countersProveHang,
  };
  return { tickMs: Math.min(periodMs, hungAfterMs / looksUntilHung), timeoutMs, limits };
}

const beatOf = (tickMs: number): number => Math.min(longestBeatMs, tickMs / beatsPerTick);

/** Milliseconds to the last beat that is no further away than `tickMs`. */
function untilBeat(now: number, tickMs: number): number {
  const beat = beatOf(tickMs);
  return Math.max(0, Math.floor((now + tickMs) / beat) * beat - now);
}

/**
 * Looks after a ready replica until `signal` aborts (then it rejects with the reason) or it is condemned. At rest that is one probe each
 * period; the engine's counters are read only while requests are on it and no byte comes, or when it has missed a probe.
 */
export async function watchReplica(deps: WatchDeps, watched: Watched, events: WatchEvents, signal: AbortSignal): Promise<void> {
  let health: Health = newHealth;
  let probedAt = deps.clock.now();
  let progress = deps.board.readProgress(watched.slot);
  for (;;) {
    await deps.clock.sleep(untilBeat(deps.clock.now(), timesOf(watched.settings()).tickMs), signal);
    const { tickMs, timeoutMs, limits } = timesOf(watched.settings());
    const before = progress;
    progress = deps.board.readProgress(watched.slot);
    const busy = deps.board.read(watched.slot) > 0;
    const suspect = busy && progress === before;
    // A beat may come a little before the period is over.
    const due = deps.clock.now() - probedAt >= watched.settings().model.health.periodMs - beatOf(tickMs);
    if (!due && !suspect) continue;
    probedAt = deps.clock.now();
    // Six looks fit into the time that proves a hang only if none of them waits longer than its share. Of a busy replica that holds for the
    // first one too: it may have frozen just after its last byte.
    const shareMs = Math.max(shortestTimeoutMs, limits.hungAfterMs / looksUntilHung);
    const options = {
      suspect,
      timeoutMs: busy ? Math.min(timeoutMs, shareMs) : timeoutMs,
      missed: (seen: string) => events.missed(seen),
    };
    const judged = judge(health, await look(deps, watched, options, signal), limits);
    const { verdict } = judged;
    if (verdict.kind === 'hung' || verdict.kind === 'unresponsive') {
      events.condemned(verdict);
      return;
    }
    if (verdict.recovered) events.recovered();
    if (judged.health.serving !== health.serving) events.serving(judged.health.serving);
    ({ health } = judged);
  }
}

interface LookOptions {
  readonly suspect: boolean;
  readonly timeoutMs: number;
  readonly missed: (seen: string) => void;
}

async function look(deps: WatchDeps, watched: Watched, { suspect, timeoutMs, missed }: LookOptions, signal: AbortSignal): Promise<Sight> {
  const { engine } = watched.settings();
  const ask = (): Promise<Work> => readWork(deps, watched, timeoutMs, signal);
  const asked = suspect ? ask() : undefined;
  // It may fail while the probe is still waited for.
  asked?.catch(() => undefined);
  const answer = await probeHealth(deps, watched.target, engine.probes.liveness, timeoutMs, signal);
  if (answer.kind === 'miss') missed(answer.seen);
  const inDoubt = asked ?? (answer.kind === 'miss' ? ask() : undefined);
  const work: Work = (await inDoubt) ?? { kind: 'not-asked' };
  return {
    at: deps.clock.now(),
    probe: answer.kind === 'ok' ? 'ok' : answer.silent === true ? 'silent' : 'no',
    inFlight: deps.board.read(watched.slot),
    progress: deps.board.readProgress(watched.slot),
    work,
  };
}

async function readWork(deps: WatchDeps, watched: Watched, timeoutMs: number, signal: AbortSignal): Promise<Work> {
  const { engine } = watched.settings();
  const page = await getPage(deps, watched.target, { path: engine.metricsPath, timeoutMs }, signal);
  return page === undefined ? { kind: 'unread' } : { kind: 'read', done: engine.readMetrics(page).workDone };
}
