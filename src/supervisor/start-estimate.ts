import type { ReplicaPlan } from './replica-plan.ts';
import type { ReplicaState } from './replica-state.ts';
import type { Run } from './run.ts';
import { firstPhase } from './run-log.ts';
import type { StartHistory } from './start-history.ts';
import type { StartSubject } from './start-times.ts';

function subjectOf({ model, fingerprint }: ReplicaPlan): StartSubject {
  return { model: model.name, engine: model.engine, fingerprint };
}

/** Whether its start was not ours: others run it, or it was there before us, and nobody has seen it start. */
const isForeign = (plan: ReplicaPlan, run: Run | undefined): boolean =>
  plan.upstream !== undefined || run?.handle?.adoptedAgeMs !== undefined;

/** Keeps what the phases of a start took. `now`: when it became ready. */
export function learnStart(history: StartHistory, plan: ReplicaPlan, run: Run | undefined, now: number): void {
  if (run?.handle === undefined || isForeign(plan, run)) return;
  history.learn(subjectOf(plan), run.log.phases, now);
}

/** Milliseconds that a start still takes, or the next one will take as a whole, by the last one; undefined where nobody knows. */
export function startLeftMs(history: StartHistory, plan: ReplicaPlan, run: Run | undefined, state: ReplicaState): number | undefined {
  if (isForeign(plan, run)) return undefined;
  const log = state.kind === 'starting' ? run?.log : undefined;
  return history.remainingMs(subjectOf(plan), log?.phase ?? firstPhase, log?.phaseForMs ?? 0);
}
