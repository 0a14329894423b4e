import type pino from 'pino';
import { GatewayError } from '../../core/errors.ts';
import type { AdapterName } from '../../core/ids.ts';
import type { FetchedAdapter } from './files.ts';
import type { Members } from './members.ts';
import { placeAdapter } from './placement.ts';
import type { AdapterMetrics, ReplicaAdapters } from './replica-adapters.ts';
import type { Wanted } from './waits.ts';

export interface LoaderDeps {
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

  /** Loads one more copy of an adapter, or begins to make room for one. @throws GatewayError as `AdapterEngine.load()` */
  async place(adapter: AdapterName, files: FetchedAdapter, wanted: Wanted): Promise<void> {
    this.#members.sample();
    const members = this.#members.admitted().filter(({ replica }) => !wanted.failed.has(replica.run));
    const holders = members.map((member) => member.holder());
    const placement = placeAdapter(adapter, holders, (name) => this.#members.heatOf(name));
    switch (placement.kind) {
      case 'load': {
        const member = members.find(({ replica }) => replica.index === placement.index);
        if (member !== undefined) await this.#loadOrElsewhere(member, adapter, files, wanted);
        return;
      }
      case 'evict': {
        const member = members.find(({ replica }) => replica.index === placement.index);
        if (member !== undefined) this.#evict(member, placement.victim, adapter);
        return;
      }
      case 'full':
        if (!wanted.crowded) this.#deps.metrics.crowded();
        wanted.crowded = true;
        return;
      case 'wait':
    }
  }

  #evict(member: ReplicaAdapters, victim: AdapterName, newcomer: AdapterName): void {
    if (!withdraw(member, victim)) return;
    this.#deps.metrics.evicted();
    const why = { adapter: victim, replica: member.replica.index, heat: this.#members.heatOf(victim), for: newcomer };
    this.#deps.log.info(why, `adapter is evicted: of those without requests it was used least, and ${newcomer} is asked for`);
    this.#deps.settle();
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
