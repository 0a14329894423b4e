import { callOverHttp } from './engine-call.ts';
import { untilReady } from './probe.ts';
import type { ReplicaDeps } from './replica-deps.ts';
import type { ReplicaPlan } from './replica-plan.ts';
import type { ReplicaEvent } from './replica-state.ts';
import type { ReplicaHandle } from './providers/provider.ts';
import type { Run } from './run.ts';
import { putToSleep, readAsleep, wakeUp } from './sleep.ts';

type ReadyDeps = Pick<ReplicaDeps, 'clock' | 'get' | 'call'>;

function handleOf({ id, handle }: Run): ReplicaHandle {
  if (handle === undefined) throw new Error(`${id} has no process to be asked`);
  return handle;
}

/** What comes of probing it until it is ready. */
async function proved(deps: ReadyDeps, run: Run, { engine, model }: ReplicaPlan, signal: AbortSignal): Promise<ReplicaEvent> {
  const missed = (seen: string): void => {
    run.lastProbe = seen;
    // It loads whether others wait for it or not; behind it may stand ready ones, which would serve at once.
    if (run.handle?.adoptedAgeMs !== undefined) run.turn.started();
  };
  const watch = { missed, news: () => run.log.nextPhase() };
  const answer = await untilReady(deps, handleOf(run), engine, model.name, watch, signal);
  return answer.kind === 'ok' ? { kind: 'ready' } : answer;
}

/** As `readAsleep()`; false for an engine that cannot. */
async function sleeps(deps: ReadyDeps, run: Run, { engine: { sleep } }: ReplicaPlan, signal: AbortSignal): Promise<boolean | string> {
  return sleep === undefined ? false : await readAsleep(deps.call ?? callOverHttp, handleOf(run), sleep, signal);
}

/** What comes of a start: an event that ends it. Rejects only with `signal.reason`. */
export async function startedEvent(deps: ReadyDeps, run: Run, plan: ReplicaPlan, signal: AbortSignal): Promise<ReplicaEvent> {
  const event = await proved(deps, run, plan, signal);
  // Only one that a former gateway put to sleep can be found so.
  return event.kind === 'ready' && (await sleeps(deps, run, plan, signal)) === true ? await wokenEvent(deps, run, plan, signal) : event;
}

const notAwake = (detail: string): ReplicaEvent => ({ kind: 'condemned', reason: { kind: 'not-awake', detail } });

/** What comes of waking it: it is ready again only after the same proof as after a start. Rejects only with `signal.reason`. */
export async function wokenEvent(deps: ReadyDeps, run: Run, plan: ReplicaPlan, signal: AbortSignal): Promise<ReplicaEvent> {
  const { sleep } = plan.engine;
  if (sleep === undefined) throw new Error(`${run.id} was told to wake, and cannot`);
  const refusal = await wakeUp(deps.call ?? callOverHttp, handleOf(run), sleep, signal);
  if (refusal !== undefined) return notAwake(refusal);
  const event = await proved(deps, run, plan, signal);
  if (event.kind !== 'ready') return event;
  const asleep = await sleeps(deps, run, plan, signal);
  if (asleep === false) return event;
  return notAwake(asleep === true ? 'it took the call, and sleeps on' : asleep);
}

/** Puts it to sleep; undefined, or why it does not. Rejects only with `signal.reason`. */
export async function refusesSleep(deps: ReadyDeps, run: Run, plan: ReplicaPlan, signal: AbortSignal): Promise<string | undefined> {
  const { sleep } = plan.engine;
  if (sleep === undefined) throw new Error(`${run.id} was told to sleep, and cannot`);
  return await putToSleep(deps.call ?? callOverHttp, handleOf(run), sleep, signal);
}
