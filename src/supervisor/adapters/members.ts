import type { Clock } from '../../core/clock.ts';
import type { AdapterName } from '../../core/ids.ts';
import { Heat } from './heat.ts';
import { copiesOf, stays } from './placement.ts';
import type { Holder } from './placement.ts';
import type { ReplicaAdapters } from './replica-adapters.ts';
import type { Resident } from './residents.ts';

/** Adapters whose use is remembered, and how fast that fades. */
const heatLimits = { halfLifeMs: 600_000, most: 4096 } as const;

/** The replicas of a model with what each has loaded, and how much it was used of late. */
export class Members {
  readonly #clock: Clock;
  readonly #byRun = new Map<string, ReplicaAdapters>();
  /** Those that have the adapters of their range. */
  readonly #admitted = new Set<string>();
  readonly #heat = new Heat<AdapterName>(heatLimits);
  /** Use of what was evicted, by the index of the replica that had it. */
  readonly #passed = new Heat<number>(heatLimits);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(run: string): ReplicaAdapters | undefined {
    return this.#byRun.get(run);
  }

  add(member: ReplicaAdapters): void {
    this.#byRun.set(member.replica.run, member);
  }

  remove(run: string): void {
    const member = this.#byRun.get(run);
    // What it was asked for last counts for what its successor gets first.
    member?.sample(this.#heat);
    member?.close();
    this.#byRun.delete(run);
    this.#admitted.delete(run);
  }

  get size(): number {
    return this.#byRun.size;
  }

  all(): readonly ReplicaAdapters[] {
    return [...this.#byRun.values()];
  }

  /** That a replica has the adapters of its range, so that it may get requests. */
  admit(run: string): void {
    this.#admitted.add(run);
  }

  admits(run: string): boolean {
    return this.#admitted.has(run);
  }

  admitted(): readonly ReplicaAdapters[] {
    return this.all().filter(({ replica }) => this.#admitted.has(replica.run));
  }

  /**
   * The replicas that serve, as placement sees them. Their heat is that of what they have, which follows an adapter wherever it goes, and
   * of what was evicted there: others like it will come.
   */
  holders(): readonly Holder[] {
    const held = this.admitted().map((member) => member.holding());
    return held.map((holding) => {
      const shares = [...holding.adapters].map(([adapter, residence]) =>
        stays(residence) ? this.heatOf(adapter) / copiesOf(adapter, held) : 0,
      );
      const passed = this.#passed.of(holding.index, this.#clock.now());
      return { ...holding, heat: shares.reduce((sum, share) => sum + share, passed) };
    });
  }

  /** Takes an adapter from a replica to make room there; undefined where it is not loaded. */
  evict(member: ReplicaAdapters, adapter: AdapterName): Resident | undefined {
    const resident = member.residents.of(adapter);
    if (resident === undefined || !member.withdraw(resident)) return undefined;
    this.#passed.add(member.replica.index, Math.min(resident.uses, this.heatOf(adapter)), this.#clock.now());
    return resident;
  }

  /** Those that have an adapter, or are about to, with what they have of it. */
  having(adapter: AdapterName): readonly { readonly member: ReplicaAdapters; readonly present: Resident }[] {
    return this.all().flatMap((member) => {
      const present = member.residents.of(adapter);
      return present !== undefined && stays(present) ? [{ member, present }] : [];
    });
  }

  /** Reads how often adapters were picked since the last time. */
  sample(): void {
    for (const member of this.all()) member.sample(this.#heat);
  }

  /** Uses of an adapter of late, on all replicas, as last sampled. */
  heatOf(adapter: AdapterName): number {
    return this.#heat.of(adapter, this.#clock.now());
  }

  /** All adapters whose use is remembered, the most used first. */
  hottest(): readonly AdapterName[] {
    return this.#heat.hottest(this.#clock.now());
  }
}
