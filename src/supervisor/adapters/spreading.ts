import type pino from 'pino';
import type { Clock } from '../../core/clock.ts';
import type { AdapterName } from '../../core/ids.ts';
import { planMove } from './balance.ts';
import type { Move } from './balance.ts';
import { planCopies } from './copies.ts';
import type { CopyPlan } from './copies.ts';
import type { FetchedAdapter } from './files.ts';
import { withdraw } from './loader.ts';
import type { Loader } from './loader.ts';
import type { Members } from './members.ts';
import type { ReplicaAdapters } from './replica-adapters.ts';

export interface SpreadingDeps {
  readonly clock: Clock;
  readonly log: pino.Logger;
  readonly loader: Loader;
  withFiles(adapter: AdapterName, use: (files: FetchedAdapter) => Promise<void>): Promise<void>;
  /** Something is on its way out. */
  settle(): void;
  /** Whether failures are of no more interest. */
  closed(): boolean;
}

/** Gives adapters the copies that their load needs, and moves them from replicas that have more load than others. */
export class Spreading {
  readonly #members: Members;
  readonly #deps: SpreadingDeps;
  #surplusSince: CopyPlan['surplusSince'] = new Map();
  readonly #underWay = new Set<AdapterName>();

  constructor(members: Members, deps: SpreadingDeps) {
    this.#members = members;
    this.#deps = deps;
  }

  /** Looks at the load; resolves when what that calls for is done. */
  async look(): Promise<void> {
    const heatOf = (adapter: AdapterName): number => this.#members.heatOf(adapter);
    const holders = this.#members.holders();
    const plan = planCopies(holders, heatOf, this.#surplusSince, this.#deps.clock.now());
    this.#surplusSince = plan.surplusSince;
    const hottestFirst = [...holders].sort((a, b) => b.heat - a.heat);
    for (const adapter of plan.shrink) {
      const hottest = hottestFirst.find(({ adapters }) => adapters.get(adapter)?.state === 'loaded');
      if (hottest !== undefined) this.#withdraw(hottest.index, adapter);
    }
    const surplus = new Set([...plan.surplusSince.keys(), ...plan.shrink]);
    const move = this.#underWay.size === 0 && plan.grow.length === 0 ? planMove(holders, heatOf, surplus) : undefined;
    await Promise.all([...plan.grow.map((adapter) => this.#grow(adapter)), move === undefined ? undefined : this.#move(move)]);
  }

  async #grow(adapter: AdapterName): Promise<void> {
    await this.#copy(adapter, async (files) => void (await this.#deps.loader.bring(adapter, files)));
  }

  async #move({ adapter, from, to }: Move): Promise<void> {
    await this.#copy(adapter, async (files) => {
      const target = this.#memberAt(to);
      if (target === undefined || !(await this.#deps.loader.bring(adapter, files, target))) return;
      this.#deps.log.info({ adapter, from, to }, 'adapter has moved to a replica with less load');
      this.#withdraw(from, adapter);
    });
  }

  async #copy(adapter: AdapterName, load: (files: FetchedAdapter) => Promise<void>): Promise<void> {
    if (this.#underWay.has(adapter)) return;
    this.#underWay.add(adapter);
    try {
      await this.#deps.withFiles(adapter, load);
    } catch (error) {
      // It serves where it is.
      if (!this.#deps.closed()) this.#deps.log.warn({ adapter, err: error }, 'could not load another copy of an adapter');
    } finally {
      this.#underWay.delete(adapter);
    }
  }

  #memberAt(index: number): ReplicaAdapters | undefined {
    return this.#members.admitted().find(({ replica }) => replica.index === index);
  }

  #withdraw(index: number, adapter: AdapterName): void {
    const member = this.#memberAt(index);
    if (member !== undefined && withdraw(member, adapter)) this.#deps.settle();
  }
}
