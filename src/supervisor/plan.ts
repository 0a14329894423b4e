import type { ModelName } from '../core/ids.ts';
import type { ReplicaState } from './replica-state.ts';

/** What the config wants of one model. */
export interface DesiredModel {
  readonly name: ModelName;
  readonly replicas: number;
  /** Equal for two configs exactly when their replicas would be the same process. */
  readonly fingerprint: string;
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
}

export type Step =
  | { readonly kind: 'add'; readonly model: ModelName; readonly index: number }
  | { readonly kind: 'take-back'; readonly key: number }
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

/** Those who lose least by going come first: what does not serve, then the highest index. */
function leastWorth(replicas: readonly ObservedReplica[], count: number): readonly ObservedReplica[] {
  const serves = (replica: ObservedReplica): number => Number(replica.standing === 'serving');
  return [...replicas].sort((a, b) => serves(a) - serves(b) || b.index - a.index).slice(0, Math.max(0, count));
}

function planModel(desired: DesiredModel, all: readonly ObservedReplica[]): readonly Step[] {
  const observed = all.filter((replica) => replica.standing !== 'leaving');
  const isCurrent = ({ fingerprint, renew }: ObservedReplica): boolean => fingerprint === desired.fingerprint && renew !== true;
  const current = observed.filter(isCurrent);
  const outdated = observed.filter((replica) => !isCurrent(replica));
  const serving = current.filter((replica) => replica.standing === 'serving').length;
  // Where there is no GPU for a new one beside the old ones, an old one makes room; the next one only once that has led to one that serves.
  const settled = all.length === observed.length && current.every(({ standing, lacksGpus }) => standing === 'serving' || lacksGpus);
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
