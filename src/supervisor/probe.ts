import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import type { Engine, Probe } from '../plugins/engine-plugin.ts';
import type { HttpGet, HttpReply } from './http-get.ts';
import type { ReplicaHandle } from './providers/provider.ts';

/** Where an engine is reached, and by what. */
export type ProbeTarget = Pick<ReplicaHandle, 'upstream' | 'apiKey' | 'ca' | 'listener'>;

export type ProbeAnswer =
  | { readonly kind: 'ok' }
  /** Not (yet) as it should be; `seen` says what came, e.g. `GET /health: 503`. `silent`: nothing came in time. */
  | { readonly kind: 'miss'; readonly seen: string; readonly silent?: boolean }
  /** Waiting will not help: another server, or another model. */
  | { readonly kind: 'mismatch'; readonly detail: string };

export interface ProbeDeps {
  readonly clock: Clock;
  readonly get: HttpGet;
}

type NoReply = ProbeAnswer & { readonly kind: 'miss' };

async function ask(
  deps: ProbeDeps,
  target: ProbeTarget,
  probe: Probe,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<HttpReply | NoReply> {
  const timeout = new AbortController();
  const cancel = deps.clock.after(timeoutMs, () => timeout.abort(new Error(`no answer within ${timeoutMs} ms`)));
  try {
    return await deps.get(target.upstream + probe.path, target.apiKey, AbortSignal.any([signal, timeout.signal]), target.ca);
  } catch (thrown) {
    // The replica's own end is not an answer of its engine.
    signal.throwIfAborted();
    if (timeout.signal.aborted) return { kind: 'miss', seen: `GET ${probe.path}: ${messageOf(timeout.signal.reason)}`, silent: true };
    return { kind: 'miss', seen: `GET ${probe.path}: ${messageOf(thrown) || 'connection failed'}` };
  } finally {
    cancel();
  }
}

/** One look at whether the engine answers its probe with 200. Rejects only with `signal.reason`. */
export async function probeHealth(
  deps: ProbeDeps,
  target: ProbeTarget,
  probe: Probe,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeAnswer & { readonly kind: 'ok' | 'miss' }> {
  const reply = await ask(deps, target, probe, timeoutMs, signal);
  if ('kind' in reply) return reply;
  return reply.status === 200 ? { kind: 'ok' } : { kind: 'miss', seen: `GET ${probe.path}: ${reply.status}` };
}

/** The body of a 200; undefined when none came. Rejects only with `signal.reason`. */
export async function getPage(deps: ProbeDeps, target: ProbeTarget, page: Probe, signal: AbortSignal): Promise<string | undefined> {
  const reply = await ask(deps, target, page, page.timeoutMs, signal);
  return 'kind' in reply || reply.status !== 200 ? undefined : reply.body;
}

function servedModels(engine: Engine, body: string): readonly string[] | undefined {
  try {
    return engine.readServedModels(JSON.parse(body));
  } catch {
    // Whatever is wrong with the reply, it is not the list we need; the caller says so.
    return undefined;
  }
}

/**
 * Whether what serves our model is the process we started. Who says yes to any key has not shown that it knows ours: then, its sockets
 * must be those of our process group. A listener that is seen to be another's is refused in any case.
 */
async function proveOurs(deps: ProbeDeps, target: ProbeTarget, probe: Probe, signal: AbortSignal): Promise<ProbeAnswer> {
  const listener = await target.listener();
  switch (listener) {
    case 'external':
    case 'ours':
      return { kind: 'ok' };
    case 'foreign':
      return { kind: 'mismatch', detail: `another process listens on ${target.upstream}, not the engine that was started there` };
    case 'unknown': {
      const reply = await ask(deps, { ...target, apiKey: `not-${target.apiKey.slice(4)}` }, probe, probe.timeoutMs, signal);
      if ('kind' in reply) return reply;
      if (reply.status === 401 || reply.status === 403) return { kind: 'ok' };
      const detail = `what answers on ${target.upstream} accepts any key (GET ${probe.path}: ${reply.status}), and is not seen to be the engine that was started there`;
      return { kind: 'mismatch', detail };
    }
  }
}

/** Whether what answers is the process we started, serving the model we asked for. Rejects only with `signal.reason`. */
export async function probeIdentity(
  deps: ProbeDeps,
  target: ProbeTarget,
  engine: Engine,
  servedName: string,
  signal: AbortSignal,
): Promise<ProbeAnswer> {
  const probe = engine.probes.identity;
  const reply = await ask(deps, target, probe, probe.timeoutMs, signal);
  if ('kind' in reply) return reply;
  if (reply.status === 401 || reply.status === 403) {
    return {
      kind: 'mismatch',
      detail: `what answers on ${target.upstream} refuses our key (GET ${probe.path}: ${reply.status}): another server has the port`,
    };
  }
  if (reply.status !== 200) return { kind: 'miss', seen: `GET ${probe.path}: ${reply.status}` };
  const models = servedModels(engine, reply.body);
  if (models === undefined) return { kind: 'miss', seen: `GET ${probe.path}: 200, but not a list of models` };
  if (models.includes(servedName)) return await proveOurs(deps, target, probe, signal);
  const names = models.slice(0, 10).join(', ') || 'none';
  return { kind: 'mismatch', detail: `what answers on ${target.upstream} serves ${names}; expected ${servedName}` };
}

/** How often a starting engine is looked at: a small one is up in a second, a large one is not hurried by being asked until it says that it is further. */
const pollMs = { first: 100, longest: 1_000, factor: 1.3 } as const;

/**
 * Probes until the engine is ready and proved to be ours; it has no deadline of its own. Rejects only with `signal.reason`.
 * @param watch `missed` hears what was seen instead; `news` resolves when it may be ready sooner than it seemed
 */
export async function untilReady(
  deps: ProbeDeps,
  target: ProbeTarget,
  engine: Engine,
  servedName: string,
  watch: { readonly missed: (seen: string) => void; readonly news: () => Promise<void> },
  signal: AbortSignal,
): Promise<ProbeAnswer & { readonly kind: 'ok' | 'mismatch' }> {
  let wait: number = pollMs.first;
  for (;;) {
    // Asked for before the probe: what is told meanwhile counts.
    const news = watch.news();
    const health = await probeHealth(deps, target, engine.probes.readiness, engine.probes.readiness.timeoutMs, signal);
    const answer = health.kind === 'ok' ? await probeIdentity(deps, target, engine, servedName, signal) : health;
    if (answer.kind !== 'miss') return answer;
    watch.missed(answer.seen);
    const waited = await sleepUntil(deps.clock, wait, news, signal);
    wait = waited ? Math.min(pollMs.longest, wait * pollMs.factor) : pollMs.first;
  }
}

/** Returns whether the time has passed without news. Rejects only with `signal.reason`. */
async function sleepUntil(clock: Clock, ms: number, news: Promise<void>, signal: AbortSignal): Promise<boolean> {
  const told = new AbortController();
  void news.then(() => told.abort());
  try {
    await clock.sleep(ms, AbortSignal.any([signal, told.signal]));
    return true;
  } catch (thrown) {
    signal.throwIfAborted();
    if (!told.signal.aborted) throw thrown;
    return false;
  }
}
