import type { ModelName } from '../core/ids.ts';

/** A model, as far as it matters who holds GPUs. */
export interface GpuUser {
  readonly name: ModelName;
  readonly priority: number;
  readonly min: number;
  /** Replicas that are wanted, and those that serve. */
  readonly target: number;
  readonly running: number;
  /** Replicas that sleep: they have their GPUs, and nobody needs them. */
  readonly asleep: number;
  /** GPUs, or parts of them, that each replica has; 0: it competes with nobody. */
  readonly gpusEach: number;
  /** Replicas on their way out that still hold GPUs. */
  readonly leaving: number;
  /** Requests it has now, sent and waiting. */
  readonly ongoing: number;
  /** Since it last had one, in milliseconds. */
  readonly idleMs: number;
  /** Since its newest replica became ready, in milliseconds. */
  readonly servedMs: number;
  /** For how long a replica of it has waited for GPUs that others hold, in milliseconds; undefined where none does. */
  readonly lacksForMs: number | undefined;
}

/** `taker` gets the GPUs that the replicas which the others give up leave. */
export interface Preemption {
  readonly taker: ModelName;
  readonly from: readonly { readonly name: ModelName; readonly replicas: number }[];
}

/** A model that has just been loaded keeps its GPUs for so long: else two models that are asked in turn only load. */
export const defaultDwellMs = 10_000;

/** How willingly a model gives a replica up: lower first; undefined: not at all. */
function willingness(model: GpuUser, taker: GpuUser, dwellMs: number): number | undefined {
  const { name, gpusEach, running, asleep, target, min, priority, servedMs, ongoing, idleMs } = model;
  if (name === taker.name || gpusEach === 0 || running + asleep === 0 || target <= min || priority > taker.priority) return undefined;
  if (asleep > 0 && ongoing === 0) return -1;
  if (servedMs < dwellMs) return undefined;
  if (ongoing === 0 && (priority < taker.priority || idleMs > 0)) return 0;
  // A busy one gives way only to a model that has nothing yet.
  if (taker.running > 0) return undefined;
  if (target > 1) return 1;
  // Its own requests wait meanwhile, and take it back by the same rule: both get whole turns, and neither starves.
  return (taker.lacksForMs ?? 0) >= dwellMs ? 2 : undefined;
}

function victimsFor(taker: GpuUser, models: readonly GpuUser[], dwellMs: number): Preemption['from'] | undefined {
  const ranked = models
    .flatMap((model) => {
      const rank = willingness(model, taker, dwellMs);
      return rank === undefined ? [] : [{ model, rank }];
    })
    .sort((a, b) => a.rank - b.rank || a.model.priority - b.model.priority || b.model.idleMs - a.model.idleMs);
  const from: { readonly name: ModelName; readonly replicas: number }[] = [];
  let missing = taker.gpusEach;
  for (const { model, rank } of ranked) {
    if (missing <= 0) break;
    const spare = Math.min(model.running + model.asleep, model.target - Math.max(model.min, rank === 1 ? 1 : 0));
    const replicas = Math.min(spare, Math.ceil(missing / model.gpusEach));
    from.push({ name: model.name, replicas });
    missing -= replicas * model.gpusEach;
  }
  return missing > 0 ? undefined : from;
}

const orderOf = (a: GpuUser, b: GpuUser): number =>
  b.priority - a.priority || Math.sign(a.running) - Math.sign(b.running) || (b.lacksForMs ?? 0) - (a.lacksForMs ?? 0);

/**
 * Who should give GPUs up, and to whom; undefined: nobody. One taker at a time, and only where the others can give all that it needs: two
 * models never hold half each of what they need. Nobody is asked while GPUs are about to come free.
 */
export function preempt(models: readonly GpuUser[], dwellMs: number = defaultDwellMs): Preemption | undefined {
  if (models.some(({ gpusEach, leaving }) => gpusEach > 0 && leaving > 0)) return undefined;
  const takers = models
    .filter(({ lacksForMs, running, ongoing }) => lacksForMs !== undefined && (running > 0 || ongoing > 0))
    .sort(orderOf);
  for (const taker of takers) {
    const from = victimsFor(taker, models, dwellMs);
    if (from !== undefined) return { taker: taker.name, from };
  }
  return undefined;
}
