import type pino from 'pino';
import type { Clock } from '../../core/clock.ts';
import { GatewayError } from '../../core/errors.ts';
import type { AdapterName } from '../../core/ids.ts';
import type { FetchedAdapter } from './files.ts';
import type { Members } from './members.ts';
import { placeAdapter } from './placement.ts';
import type { Placement } from './placement.ts';
import type { AdapterMetrics, ReplicaAdapters } from './replica-adapters.ts';
import type { Resident } from './residents.ts';
import { nextToYield, turnMs } from './turns.ts';
import { nobodyWaits } from './waits.ts';
import type { Wanted } from './waits.ts';

/** Where an adapter goes, with the replica itself. */
type Decision =
  | Exclude<Placement, { readonly index: number }>
  | (Extract<Placement, { readonly index: number }> & { readonly member: ReplicaAdapters });

export interface LoaderDeps {
  readonly clock: Clock;
  readonly log: pino.Logger;
  readonly metrics: Pick<AdapterMetrics, 'evicted' | 'crowded'>;
  /** Something is on its way out. */
  settle(): void;
}

/** Carries out what `placeAdapter()` decides. */
export class Loader {
  readonly #members: Members;
  readonly #deps: LoaderDeps;

  constructor(members: Members, deps: LoaderDeps) {
    this.#members = members;
    this.#deps = deps;
  }

  /**
   * For requests that wait: loads an adapter, or begins to make room for it, which whoever waits longest then takes.
   * @throws GatewayError as `AdapterEngine.load()`
   */
  async place(adapter: AdapterName, files: FetchedAdapter, wanted: Wanted): Promise<void> {
    const placement = this.#decide(adapter, ({ replica }) => !wanted.failed.has(replica.run));
    switch (placement.kind) {
      case 'load':
        await this.#loadOrElsewhere(placement.member, adapter, files, wanted);
        return;
      case 'evict': {
        // One is enough, however often it is asked for meanwhile.
        if (wanted.makingRoom) return;
        const victim = this.#evict(placement.member, placement.victim, adapter);
        if (victim === undefined) return;
        wanted.makingRoom = true;
        void victim.left.promise.then(() => (wanted.makingRoom = false));
        return;
      }
      case 'full':
        this.#waitForTurn(adapter, wanted);
        return;
      case 'wait':
    }
  }

  /** All are in use: one of them makes way where it has had its turn. */
  #waitForTurn(adapter: AdapterName, wanted: Wanted): void {
    const now = this.#deps.clock.now();
    if (!wanted.crowded) this.#deps.metrics.crowded();
    wanted.crowded = true;
    wanted.crowdedSince ??= now;
    if (now - wanted.crowdedSince < turnMs) return;
    const able = this.#eligible(({ replica }) => !wanted.failed.has(replica.run));
    const holders = this.#members.holders().filter(({ index }) => able.has(index));
    const yielding = nextToYield(adapter, holders, now);
    const member = yielding === undefined ? undefined : able.get(yielding.index);
    if (yielding === undefined || member === undefined || this.#members.evict(member, yielding.adapter) === undefined) return;
    this.#deps.metrics.evicted();
    const why = { adapter: yielding.adapter, replica: yielding.index, for: adapter };
    this.#deps.log.info(why, `adapter is evicted once its requests have ended: it had its turn, and ${adapter} waits while all are in use`);
    this.#deps.settle();
  }

  /**
   * Without a request: loads one more copy of an adapter, where something must go for it in its very place.
   * @param to the only replica that it may go to
   * @returns whether it is loaded; else there is no room for it now
   * @throws GatewayError as `AdapterEngine.load()`
   */
  async bring(adapter: AdapterName, files: FetchedAdapter, to?: ReplicaAdapters): Promise<boolean> {
    const placement = this.#decide(adapter, (member) => to === undefined || member === to);
    if (placement.kind === 'load') {
      await (to === undefined
        ? this.#loadOrElsewhere(placement.member, adapter, files, nobodyWaits())
        : placement.member.load(adapter, files));
      return true;
    }
    const victim = placement.kind === 'evict' ? this.#evict(placement.member, placement.victim, adapter) : undefined;
    if (placement.kind !== 'evict' || victim === undefined) return false;
    await placement.member.load(adapter, files, victim.left.promise);
    return true;
  }

  /** Replicas that serve and that something may go to, by their index. */
  #eligible(may: (member: ReplicaAdapters) => boolean): ReadonlyMap<number, ReplicaAdapters> {
    return new Map(this.#members.admitted().flatMap((member) => (may(member) ? [[member.replica.index, member]] : [])));
  }

  #decide(adapter: AdapterName, eligible: (member: ReplicaAdapters) => boolean): Decision {
    this.#members.sample();
    const members = this.#eligible(eligible);
    const holders = this.#members.holders();
    const placement = placeAdapter(
      adapter,
      holders,
      (name) => this.#members.heatOf(name),
      holders.filter(({ index }) => members.has(index)),
    );
    if (placement.kind !== 'load' && placement.kind !== 'evict') return placement;
    const member = members.get(placement.index);
    if (member === undefined) throw new Error(`${adapter} was placed on replica ${placement.index}, which may not have it`);
    return { ...placement, member };
  }

  #evict(member: ReplicaAdapters, victim: AdapterName, newcomer: AdapterName): Resident | undefined {
    const resident = this.#members.evict(member, victim);
    if (resident === undefined) return undefined;
    this.#deps.metrics.evicted();
    const why = { adapter: victim, replica: member.replica.index, heat: this.#members.heatOf(victim), for: newcomer };
    this.#deps.log.info(why, `adapter is evicted: of those without requests it was used least, and ${newcomer} is to be there`);
    this.#deps.settle();
    return resident;
  }

  /** A load that fails for a reason of the replica's own is tried once more elsewhere. */
  async #loadOrElsewhere(member: ReplicaAdapters, adapter: AdapterName, files: FetchedAdapter, wanted: Wanted): Promise<void> {
    try {
      await member.load(adapter, files);
    } catch (error) {
      const mayServeElsewhere = error instanceof GatewayError && error.code === 'adapter_unavailable' && this.#members.size > 1;
      if (!mayServeElsewhere || wanted.failed.size > 0) throw error;
      wanted.failed.add(member.replica.run);
      await this.place(adapter, files, wanted);
    }
  }
}

/** Takes an adapter out of what requests may name on a replica; false where it is not loaded there. */
export function withdraw(member: ReplicaAdapters, adapter: AdapterName): boolean {
  const resident = member.residents.of(adapter);
  return resident !== undefined && member.withdraw(resident);
}
