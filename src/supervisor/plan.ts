import type { ModelName } from '../core/ids.ts';
import type { ReplicaState } from './replica-state.ts';

/** What the config wants of one model. */
export interface DesiredModel {
  readonly name: ModelName;
  readonly replicas: number;
  /** Equal for two configs exactly when their replicas would be the same process. */
  readonly fingerprint: string;
  /** Nobody needs them now: those that can are to sleep. */
  readonly asleep?: boolean;
}

/** `coming`: not serving now, but meant to; `leaving`: will end, whatever is planned. */
export type Standing = 'serving' | 'coming' | 'leaving';

/** What there is. */
export interface ObservedReplica {
  /** Unique among the observed. */
  readonly key: number;
  readonly model: ModelName;
  /** A new replica gets one that no other of its model has, leaving ones included. */
  readonly index: number;
  readonly fingerprint: string;
  readonly standing: Standing;
  /** Waits for GPUs that others hold. */
  readonly lacksGpus?: boolean;
  /** Somebody asked for another in its place. */
  readonly renew?: boolean;
  /** It drains, and may serve again. */
  readonly returnable?: boolean;
  /** Its engine can sleep. */
  readonly canSleep?: boolean;
  /** It sleeps, or is about to. */
  readonly asleep?: boolean;
  /** Requests on it. */
  readonly inFlight?: number;
  /** Clock time since when it is ready. */
  readonly readySince?: number | undefined;
}

export type Step =
  | { readonly kind: 'add'; readonly model: ModelName; readonly index: number }
  | { readonly kind: 'take-back'; readonly key: number }
  | { readonly kind: 'sleep'; readonly key: number }
  | { readonly kind: 'wake'; readonly key: number }
  | { readonly kind: 'drain'; readonly key: number };

export function standingOf(state: ReplicaState): Standing {
  switch (state.kind) {
    case 'ready':
      return 'serving';
    case 'draining':
    case 'stopped':
      return 'leaving';
    case 'stopping':
      return state.next.kind === 'stopped' ? 'leaving' : 'coming';
    case 'pending':
    case 'starting':
    case 'falling-asleep':
    case 'asleep':
    case 'waking':
    case 'backing-off':
    case 'crash-loop':
    case 'failed':
      return 'coming';
  }
}

/** The lowest indices that are not taken. */
export function lowestFree(count: number, taken: ReadonlySet<number>): number[] {
  const free: number[] = [];
  for (let index = 0; free.length < count; index += 1) if (!taken.has(index)) free.push(index);
  return free;
}

/** Those who lose least by going come first: what does not serve, then what has the fewest requests, then the newest. */
export function leastWorth(replicas: readonly ObservedReplica[], count: number): readonly ObservedReplica[] {
  const serves = (replica: ObservedReplica): number => Number(replica.standing === 'serving');
  const byWorth = (a: ObservedReplica, b: ObservedReplica): number =>
    serves(a) - serves(b) || (a.inFlight ?? 0) - (b.inFlight ?? 0) || (b.readySince ?? 0) - (a.readySince ?? 0) || b.index - a.index;
  return [...replicas].sort(byWorth).slice(0, Math.max(0, count));
}

/** Those that stay sleep while nobody needs them, and no longer. */
function rest({ asleep: wanted = false }: DesiredModel, staying: readonly ObservedReplica[]): readonly Step[] {
  return staying.flatMap(({ key, standing, canSleep = false, asleep = false }): readonly Step[] => {
    if (wanted && canSleep && standing === 'serving') return [{ kind: 'sleep', key }];
    return !wanted && asleep ? [{ kind: 'wake', key }] : [];
  });
}

function planModel(desired: DesiredModel, all: readonly ObservedReplica[]): readonly Step[] {
  const observed = all.filter((replica) => replica.standing !== 'leaving');
  const isCurrent = ({ fingerprint, renew }: ObservedReplica): boolean => fingerprint === desired.fingerprint && renew !== true;
  const current = observed.filter(isCurrent);
  const outdated = observed.filter((replica) => !isCurrent(replica));
  // One that sleeps has shown that it can serve.
  const proven = ({ standing, asleep }: ObservedReplica): boolean => standing === 'serving' || asleep === true;
  const serving = current.filter(proven).length;
  // Where there is no GPU for a new one beside the old ones, an old one makes room; the next one only once that has led to one that serves.
  const settled = all.length === observed.length && current.every((replica) => proven(replica) || replica.lacksGpus);
  const crowded = settled && current.some(({ lacksGpus }) => lacksGpus) ? 1 : 0;
  // A changed model is replaced one by one: an old replica goes as soon as a new one serves, so that the model never stops.
  const outdatedServing = outdated.filter(({ standing }) => standing === 'serving').length;
  const kept = Math.min(outdatedServing, Math.max(0, desired.replicas - serving - crowded));
  const going = [...leastWorth(current, current.length - desired.replicas), ...leastWorth(outdated, outdated.length - kept)];
  // Never more than one beyond what is wanted: memory that no GPU counts is not there for twice as many.
  const room = Math.max(0, desired.replicas + 1 - current.length - kept);
  const missing = Math.min(room, Math.max(0, desired.replicas - current.length));
  // What drains has loaded its model already: to take it back costs nothing.
  const returnable = all.filter((replica) => replica.returnable === true && isCurrent(replica)).sort((a, b) => a.index - b.index);
  const returning = returnable.slice(0, missing);
  const added = lowestFree(missing - returning.length, new Set(all.map((replica) => replica.index)));
  return [
    ...returning.map((replica): Step => ({ kind: 'take-back', key: replica.key })),
    ...added.map((index): Step => ({ kind: 'add', model: desired.name, index })),
    ...going.map((replica): Step => ({ kind: 'drain', key: replica.key })),
    ...rest(
      desired,
      current.filter((replica) => !going.includes(replica)),
    ),
  ];
}

/** The steps from what there is to what is wanted. Planning again once they were taken gives none. */
export function plan(desired: readonly DesiredModel[], observed: readonly ObservedReplica[]): readonly Step[] {
  const byModel = Map.groupBy(observed, (replica) => replica.model);
  const wanted = new Set(desired.map((model) => model.name));
  const orphans = observed.filter((replica) => replica.standing !== 'leaving' && !wanted.has(replica.model));
  return [
    ...orphans.map((replica): Step => ({ kind: 'drain', key: replica.key })),
    ...desired.flatMap((model) => planModel(model, byModel.get(model.name) ?? [])),
  ];
}
