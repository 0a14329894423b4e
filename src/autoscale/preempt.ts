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
  /** Equal for two models whose replicas ask for the same GPUs. */
  readonly gpuNeed: string;
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

/** Whether another replica of the model would find its GPUs if others gave up so many of theirs. */
export type FindsGpus = (taker: ModelName, givenUp: ReadonlyMap<ModelName, number>) => boolean;

/** Whose turn it is, and what the others do for it. */
export interface GpuTurn {
  /** GPUs that come free are kept for it, whoever else waits for one. */
  readonly taker: ModelName;
  /** Replicas that are given up now; none: there would not be enough yet. */
  readonly from: readonly { readonly name: ModelName; readonly replicas: number }[];
}

/** A model that has just been loaded keeps its GPUs for so long: else two models that are asked in turn only load. */
export const defaultDwellMs = 10_000;

/** Replicas that a model would give up; those of a lower rank are asked for first. */
interface Offer {
  readonly rank: number;
  readonly replicas: number;
}

/** @param patient as if it had been waited for as long as must be */
function offersOf(model: GpuUser, taker: GpuUser, dwellMs: number, patient: boolean): readonly Offer[] {
  const { name, gpusEach, running, asleep, target, min, priority, servedMs, ongoing, idleMs } = model;
  if (name === taker.name || gpusEach === 0 || running + asleep === 0 || priority > taker.priority) return [];
  const all = target - min;
  if (asleep > 0 && ongoing === 0) return [{ rank: -1, replicas: all }];
  if (servedMs < dwellMs && !patient) return [];
  if (ongoing === 0 && (priority < taker.priority || idleMs > 0)) return [{ rank: 0, replicas: all }];
  // A busy one gives way only to a model that has nothing yet.
  if (taker.running > 0) return [];
  const spare = Math.max(0, target - Math.max(1, min));
  // Of its last one its own requests wait meanwhile, and take it back by the same rule: both get whole turns, and neither starves.
  const waited = patient || (taker.lacksForMs ?? 0) >= dwellMs;
  return [
    { rank: 1, replicas: spare },
    { rank: 2, replicas: waited ? all - spare : 0 },
  ];
}

/** Each stands for one of its replicas, the most willing first. */
function willing(taker: GpuUser, models: readonly GpuUser[], dwellMs: number, patient: boolean): readonly ModelName[] {
  return models
    .flatMap((model) => offersOf(model, taker, dwellMs, patient).map((offer) => ({ model, ...offer })))
    .sort((a, b) => a.rank - b.rank || a.model.priority - b.model.priority || b.model.idleMs - a.model.idleMs)
    .flatMap(({ model, replicas }) => Array.from({ length: Math.max(0, replicas) }, () => model.name));
}

function countsOf(names: readonly ModelName[]): ReadonlyMap<ModelName, number> {
  const counts = new Map<ModelName, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** The first that together make room, less those that it does not take; undefined where all are not enough. */
function enough(
  asked: readonly ModelName[],
  fits: (given: ReadonlyMap<ModelName, number>) => boolean,
): ReadonlyMap<ModelName, number> | undefined {
  if (!fits(countsOf(asked))) return undefined;
  let chosen: readonly ModelName[] = [];
  while (!fits(countsOf(chosen))) chosen = asked.slice(0, chosen.length + 1);
  for (let at = chosen.length - 2; at >= 0; at -= 1) {
    const without = chosen.toSpliced(at, 1);
    if (fits(countsOf(without))) chosen = without;
  }
  return countsOf(chosen);
}

const orderOf = (a: GpuUser, b: GpuUser): number =>
  b.priority - a.priority || Math.sign(a.running) - Math.sign(b.running) || (b.lacksForMs ?? 0) - (a.lacksForMs ?? 0);

/** Equal for takers for which all others would give up the same: where hundreds wait for the same cards, one of them is asked about. */
function likeness({ name, priority, gpuNeed, running, asleep, lacksForMs = 0 }: GpuUser, dwellMs: number): string {
  return `${running + asleep > 0 ? name : ''} ${priority} ${lacksForMs >= dwellMs} ${gpuNeed}`;
}

/**
 * Whose turn it is to get GPUs, and who gives some up for that; undefined: nobody's. One taker at a time, and only where the others can
 * give all that it needs: two models never hold half each of what they need. Nobody is asked while GPUs are about to come free; they are
 * kept for `before`, whose turn it was. Who has nothing and has waited a whole turn is overtaken by nobody behind it: what it needs is
 * waited for, however many smaller ones could be served meanwhile.
 */
export function preempt(
  models: readonly GpuUser[],
  findsGpus: FindsGpus,
  before?: ModelName,
  dwellMs: number = defaultDwellMs,
): GpuTurn | undefined {
  const takers = models
    .filter(({ lacksForMs, running, ongoing }) => lacksForMs !== undefined && (running > 0 || ongoing > 0))
    .sort(orderOf);
  if (models.some(({ gpusEach, leaving }) => gpusEach > 0 && leaving > 0))
    return takers.some(({ name }) => name === before) && before !== undefined ? { taker: before, from: [] } : undefined;
  const refused = new Set<string>();
  for (const taker of takers) {
    const like = likeness(taker, dwellMs);
    if (refused.has(like)) continue;
    refused.add(like);
    const fits = (given: ReadonlyMap<ModelName, number>): boolean => findsGpus(taker.name, given);
    const from = enough(willing(taker, models, dwellMs, false), fits);
    if (from !== undefined) return { taker: taker.name, from: [...from].map(([name, replicas]) => ({ name, replicas })) };
    const waited = taker.running === 0 && (taker.lacksForMs ?? 0) >= dwellMs;
    if (waited && enough(willing(taker, models, dwellMs, true), fits) !== undefined) return { taker: taker.name, from: [] };
  }
  return undefined;
}
