import type { ModelName } from '../core/ids.ts';
import { standingOf } from './plan.ts';
import type { ObservedReplica } from './plan.ts';
import type { Replica } from './replica.ts';

/** What becomes of a replica that is restarted: another takes its place, or it is started again itself. */
export interface Restarted {
  readonly model: ModelName;
  readonly index: number;
  readonly how: 'replaced' | 'retried';
}

interface Member {
  readonly model: ModelName;
  readonly replica: Replica;
  /** Somebody asked for another in its place. */
  renew: boolean;
  /** Not to be taken back from its drain. */
  final: boolean;
}

/** All replicas there are, those on their way out included. */
export class ReplicaSet {
  readonly #outdated: (model: ModelName, replica: Replica) => boolean;
  readonly #members = new Map<number, Member>();
  #nextKey = 0;

  /** @param outdated what should be replaced although its config is the present one. */
  constructor(outdated: (model: ModelName, replica: Replica) => boolean) {
    this.#outdated = outdated;
  }

  get size(): number {
    return this.#members.size;
  }

  add(model: ModelName, replica: Replica): void {
    this.#members.set(this.#nextKey, { model, replica, renew: false, final: false });
    this.#nextKey += 1;
  }

  /** @param key as `observed()` gives it. */
  get(key: number): Replica | undefined {
    return this.#members.get(key)?.replica;
  }

  /** What it holds has been promised to another model: its drain is not called off. */
  keepLeaving(key: number): void {
    const member = this.#members.get(key);
    if (member !== undefined) member.final = true;
  }

  all(): readonly Replica[] {
    return [...this.#members.values()].map(({ replica }) => replica);
  }

  of(model: ModelName): readonly Replica[] {
    return [...this.#members.values()].filter((member) => member.model === model).map(({ replica }) => replica);
  }

  byModel(): ReadonlyMap<ModelName, readonly Replica[]> {
    const members = Map.groupBy(this.#members.values(), ({ model }) => model);
    return new Map([...members].map(([model, own]) => [model, own.map(({ replica }) => replica)]));
  }

  /** Takes out those that have stopped. */
  takeStopped(): readonly { readonly model: ModelName; readonly replica: Replica }[] {
    const stopped = [...this.#members].filter(([, { replica }]) => replica.state.kind === 'stopped');
    for (const [key] of stopped) this.#members.delete(key);
    return stopped.map(([, member]) => member);
  }

  /** @param gpusUnsettled GPUs may come free by themselves: nobody has to make room yet. */
  observed(gpusUnsettled: boolean): readonly ObservedReplica[] {
    return [...this.#members].map(([key, { model, replica, renew, final }]) => ({
      key,
      model,
      index: replica.index,
      fingerprint: replica.plan.fingerprint,
      standing: standingOf(replica.state),
      lacksGpus: replica.lacksGpus && !gpusUnsettled,
      renew: renew || this.#outdated(model, replica),
      returnable: replica.state.kind === 'draining' && !final,
      canSleep: replica.canSleep,
      asleep: replica.state.kind === 'asleep' || (replica.state.kind === 'falling-asleep' && replica.state.deadline === undefined),
      inFlight: replica.inFlight,
      readySince: replica.state.kind === 'ready' ? replica.state.since : undefined,
    }));
  }

  /**
   * Marks those that serve or start as to be replaced, and tries those again that failed. The ones that are leaving already, or that others
   * run, are left alone.
   */
  restart(meant: (model: ModelName, index: number) => boolean): readonly Restarted[] {
    return [...this.#members.values()].flatMap((member): Restarted[] => {
      const { model, replica } = member;
      const leaving = member.renew || standingOf(replica.state) === 'leaving';
      if (leaving || replica.plan.upstream !== undefined || !meant(model, replica.index)) return [];
      const { kind } = replica.state;
      member.renew = ['ready', 'starting', 'falling-asleep', 'asleep', 'waking'].includes(kind);
      if (!member.renew) replica.send({ kind: 'retry' });
      return [{ model, index: replica.index, how: member.renew ? 'replaced' : 'retried' }];
    });
  }
}
