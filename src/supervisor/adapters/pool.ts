import { GatewayError, messageOf } from '../../core/errors.ts';
import type { AdapterName } from '../../core/ids.ts';
import type { LoadedAdapter } from '../../core/table.ts';
import { planCopies } from './copies.ts';
import type { CopyPlan } from './copies.ts';
import { Heat } from './heat.ts';
import { placeAdapter, prefers, stays } from './placement.ts';
import { Refused } from './refused.ts';
import { ReplicaAdapters } from './replica-adapters.ts';
import type { AdapterReplica, ReplicaAdaptersDeps } from './replica-adapters.ts';
import type { FetchedAdapter, Resident } from './residents.ts';
import type { AdapterSource } from './source.ts';

export interface AdapterPoolDeps extends ReplicaAdaptersDeps {
  readonly source: AdapterSource;
  /** Answers all who wait for the adapter. */
  refuse(adapter: AdapterName, error: GatewayError): void;
}

/** How often load is looked at: for copies, and for what waits. */
const everyMs = 1_000;
/** What a new replica may take to get the adapters of its range, before it serves without the rest. */
const welcomeMs = 30_000;
/** Adapters whose use is remembered, and how fast that fades. */
const heatLimits = { halfLifeMs: 600_000, most: 4096 } as const;

/** An adapter on a replica, for whoever looks. */
export interface AdapterReport {
  readonly adapter: AdapterName;
  /** Index of the replica. */
  readonly replica: number;
  readonly state: Resident['state'];
  readonly revision: string;
  readonly inFlight: number;
  /** Uses of the adapter of late, on all replicas; half of one counts after ten minutes. */
  readonly heat: number;
}

interface Wanted {
  /** Workers where requests wait. */
  readonly workers: Set<number>;
  pursued: boolean;
  /** Runs whose engines failed to load it. */
  readonly failed: Set<string>;
  /** Whether it was counted as a wait for want of room. */
  crowded: boolean;
}

const nobodyWaits = (): Wanted => ({ workers: new Set(), pursued: false, failed: new Set(), crowded: false });

/**
 * The owner of what adapters the replicas of one model have loaded. Requests never wait in it: they wait for the table to change, and
 * their workers say so here.
 */
export class AdapterPool {
  readonly #deps: AdapterPoolDeps;
  readonly #members = new Map<string, ReplicaAdapters>();
  /** Those that have the adapters of their range. */
  readonly #admitted = new Set<string>();
  readonly #wanted = new Map<AdapterName, Wanted>();
  readonly #refused: Refused<AdapterName>;
  readonly #heat = new Heat<AdapterName>(heatLimits);
  readonly #closed = new AbortController();
  #surplusSince: CopyPlan['surplusSince'] = new Map();
  #cancelTick: (() => void) | undefined;

  constructor(deps: AdapterPoolDeps) {
    this.#deps = deps;
    this.#refused = new Refused(deps.clock);
  }

  /** The replicas that are ready; to be called whenever they change. */
  setReplicas(replicas: readonly AdapterReplica[]): void {
    const runs = new Set(replicas.map(({ run }) => run));
    for (const run of this.#members.keys()) if (!runs.has(run)) this.#forget(run);
    for (const replica of replicas) if (!this.#members.has(replica.run)) this.#welcome(replica);
  }

  /** Whether a replica has the adapters of its range, so that it may get requests. */
  admits(run: string): boolean {
    return this.#admitted.has(run);
  }

  /** What requests may name on a replica. */
  adaptersOf(run: string): ReadonlyMap<AdapterName, LoadedAdapter> {
    return this.#members.get(run)?.residents.loaded() ?? new Map();
  }

  /** A worker says whether requests for an adapter wait there. */
  demand(worker: number, adapter: AdapterName, waiting: boolean): void {
    if (!waiting) {
      const wanted = this.#wanted.get(adapter);
      wanted?.workers.delete(worker);
      if (wanted?.workers.size === 0) this.#wanted.delete(adapter);
      return;
    }
    const refused = this.#refused.get(adapter);
    if (refused !== undefined) {
      this.#deps.refuse(adapter, refused);
      return;
    }
    const wanted = this.#wanted.get(adapter) ?? nobodyWaits();
    wanted.workers.add(worker);
    this.#wanted.set(adapter, wanted);
    this.#pursue(adapter, wanted);
    this.#tickSoon();
  }

  /** A worker is gone, with all who waited in it. */
  forgetWorker(worker: number): void {
    for (const adapter of Array.from(this.#wanted.keys())) this.demand(worker, adapter, false);
  }

  /** To be called whenever a slot may have become quiet. */
  settle(): void {
    for (const member of this.#members.values()) if (member.unsettled) this.#own(this.#settle(member));
  }

  async #settle(member: ReplicaAdapters): Promise<void> {
    if (await member.settle()) this.#pursueAll();
  }

  /** Whether `settle()` is waited for. */
  get unsettled(): boolean {
    return [...this.#members.values()].some((member) => member.unsettled);
  }

  /** Loads an adapter, or its new weights, without a request. @throws GatewayError as `AdapterSource.fetch()` and `AdapterEngine.load()` */
  async load(adapter: AdapterName): Promise<void> {
    this.#refused.delete(adapter);
    const files = await this.#deps.source.fetch(adapter, this.#closed.signal);
    if (!this.#renew(adapter, files)) await this.#place(adapter, files, nobodyWaits());
  }

  /** Takes an adapter from all replicas, once its requests have ended; says from how many. It comes back when it is asked for. */
  unload(adapter: AdapterName): number {
    const left = [...this.#members.values()].filter((member) => this.#withdraw(member, adapter));
    this.settle();
    return left.length;
  }

  /** Where the source has other weights for a loaded adapter, they are loaded beside the old, which go when the new ones serve. */
  async refresh(): Promise<void> {
    const names = new Set([...this.#members.values()].flatMap(({ residents }) => [...residents.all()].map(({ adapter }) => adapter)));
    for (const adapter of names) {
      try {
        this.#renew(adapter, await this.#deps.source.fetch(adapter, this.#closed.signal));
      } catch (error) {
        // What is loaded serves on: the source may only be out of reach.
        if (!this.#closed.signal.aborted) this.#deps.log.warn({ adapter, err: error }, 'could not look for new weights of an adapter');
      }
    }
  }

  report(): readonly AdapterReport[] {
    const now = this.#deps.clock.now();
    return [...this.#members.values()].flatMap(({ replica, residents }) =>
      [...residents.all()].map(({ adapter, state, slot, files }) => ({
        adapter,
        replica: replica.index,
        state,
        revision: files.revision,
        inFlight: this.#deps.board.read(slot),
        heat: this.#heat.of(adapter, now),
      })),
    );
  }

  /** Adapters that requests wait for, and which of them wait because all others are in use. */
  waitingFor(): readonly { readonly adapter: AdapterName; readonly crowded: boolean }[] {
    return [...this.#wanted].map(([adapter, { crowded }]) => ({ adapter, crowded }));
  }

  close(): void {
    this.#closed.abort(new GatewayError('shutting_down', 'the gateway is stopping'));
    this.#cancelTick?.();
    for (const run of Array.from(this.#members.keys())) this.#forget(run);
  }

  #forget(run: string): void {
    const member = this.#members.get(run);
    // What it was asked for last counts for what its successor gets first.
    member?.sample(this.#heat);
    member?.close();
    this.#members.delete(run);
    this.#admitted.delete(run);
  }

  /** A replica is new: what its engine has is taken over or put away, and it gets what is its own to have, the most used first. */
  #welcome(replica: AdapterReplica): void {
    const member = new ReplicaAdapters(replica, this.#deps);
    this.#members.set(replica.run, member);
    this.#tickSoon();
    const admit = (): void => {
      cancel();
      if (member.signal.aborted || this.#admitted.has(replica.run)) return;
      this.#admitted.add(replica.run);
      this.#deps.changed();
      this.#pursueAll();
    };
    const cancel = this.#deps.clock.after(welcomeMs, admit);
    member.signal.addEventListener('abort', cancel, { once: true });
    const ready = member.takeOver((handle) => this.#deps.source.known(handle)).then(() => this.#fillRange(member));
    this.#own(
      ready
        .catch((error: unknown) => {
          // It can serve the base; each adapter says for itself why it does not load.
          if (!member.signal.aborted) this.#deps.log.warn({ replica: replica.index, err: error }, 'a new replica lacks adapters');
        })
        .finally(admit),
    );
  }

  async #fillRange(member: ReplicaAdapters): Promise<void> {
    const { index, run } = member.replica;
    const indices = [...this.#members.values()].map(({ replica }) => replica.index);
    const range = this.#heat
      .hottest(this.#deps.clock.now())
      .filter((adapter) => prefers(adapter, index, indices) && member.residents.of(adapter) === undefined);
    for (const adapter of range) {
      if (this.#admitted.has(run) || member.residents.size >= this.#deps.maxPerReplica) return;
      await member.load(adapter, await this.#deps.source.fetch(adapter, member.signal));
    }
  }

  #pursueAll(): void {
    // In the order in which they were first waited for: room goes to who has waited longest.
    for (const [adapter, wanted] of this.#wanted) this.#pursue(adapter, wanted);
  }

  /** Brings an adapter that requests wait for to a replica. Harmless where that is under way. */
  #pursue(adapter: AdapterName, wanted: Wanted): void {
    if (wanted.pursued || this.#isComing(adapter)) return;
    wanted.pursued = true;
    this.#own(
      this.#deps.source
        .fetch(adapter, this.#closed.signal)
        .then((files) => this.#place(adapter, files, wanted))
        .catch((thrown: unknown) => {
          if (!this.#closed.signal.aborted) this.#refuse(adapter, thrown);
        })
        .finally(() => {
          wanted.pursued = false;
        }),
    );
  }

  /** Whether requests for an adapter have, or will soon have, a replica to go to. */
  #isComing(adapter: AdapterName): boolean {
    const members = [...this.#members.values()];
    const having = members.filter(({ residents }) => stays(residents.of(adapter)));
    const here = having.some((member) => member.residents.of(adapter)?.state === 'loading' || member.hasRoom);
    // Where all are busy another copy would only take the place of what is used.
    return here || (having.length > 0 && !members.some((member) => member.hasRoom));
  }

  async #place(adapter: AdapterName, files: FetchedAdapter, wanted: Wanted): Promise<void> {
    this.#sample();
    const members = [...this.#members.values()].filter(({ replica }) => this.#admitted.has(replica.run) && !wanted.failed.has(replica.run));
    const holders = members.map((member) => member.holder());
    const placement = placeAdapter(adapter, holders, (name) => this.#heatOf(name));
    switch (placement.kind) {
      case 'load': {
        const member = members.find(({ replica }) => replica.index === placement.index);
        if (member !== undefined) await this.#loadOrElsewhere(member, adapter, files, wanted);
        return;
      }
      case 'evict': {
        const { victim, index } = placement;
        const member = members.find(({ replica }) => replica.index === index);
        if (member === undefined || !this.#withdraw(member, victim)) return;
        this.#deps.metrics.evicted();
        const why = { adapter: victim, replica: index, heat: this.#heatOf(victim), for: adapter };
        this.#deps.log.info(why, `adapter is evicted: of those without requests it was used least, and ${adapter} is asked for`);
        this.settle();
        return;
      }
      case 'full':
        if (!wanted.crowded) this.#deps.metrics.crowded();
        wanted.crowded = true;
        return;
      case 'wait':
    }
  }

  /** A load that fails for a reason of the replica's own is tried once more elsewhere. */
  async #loadOrElsewhere(member: ReplicaAdapters, adapter: AdapterName, files: FetchedAdapter, wanted: Wanted): Promise<void> {
    try {
      await member.load(adapter, files);
    } catch (error) {
      const mayServeElsewhere = error instanceof GatewayError && error.code === 'adapter_unavailable' && this.#members.size > 1;
      if (!mayServeElsewhere || wanted.failed.size > 0) throw error;
      wanted.failed.add(member.replica.run);
      await this.#place(adapter, files, wanted);
    }
  }

  #withdraw(member: ReplicaAdapters, adapter: AdapterName): boolean {
    const resident = member.residents.of(adapter);
    return resident !== undefined && member.withdraw(resident);
  }

  /** Puts new weights beside old ones; false where no replica has the adapter. */
  #renew(adapter: AdapterName, files: FetchedAdapter): boolean {
    const having = [...this.#members.values()].flatMap((member) => {
      const present = member.residents.of(adapter);
      return present === undefined || !stays(present) ? [] : [{ member, present }];
    });
    for (const { member, present } of having) {
      if (present.files.handle === files.handle || present.state !== 'loaded') continue;
      this.#own(this.#replace(member, present, files));
    }
    return having.length > 0;
  }

  async #replace(member: ReplicaAdapters, old: Resident, files: FetchedAdapter): Promise<void> {
    try {
      await member.load(old.adapter, files);
      member.withdraw(old);
      this.settle();
    } catch (error) {
      if (!member.signal.aborted) this.#deps.log.warn({ adapter: old.adapter, err: error }, 'could not load new weights of an adapter');
    }
  }

  #refuse(adapter: AdapterName, thrown: unknown): void {
    const error = thrown instanceof GatewayError ? thrown : new GatewayError('adapter_unavailable', messageOf(thrown), { cause: thrown });
    this.#deps.log.warn({ adapter, code: error.code }, `adapter is refused: ${error.message}`);
    this.#refused.add(adapter, error);
    this.#wanted.delete(adapter);
    this.#deps.refuse(adapter, error);
  }

  #heatOf(adapter: AdapterName): number {
    return this.#heat.of(adapter, this.#deps.clock.now());
  }

  #sample(): void {
    for (const member of this.#members.values()) member.sample(this.#heat);
  }

  #tickSoon(): void {
    this.#cancelTick ??= this.#deps.clock.after(everyMs, () => {
      this.#cancelTick = undefined;
      this.#tick();
      if (this.#members.size > 0) this.#tickSoon();
    });
  }

  #tick(): void {
    this.#sample();
    const members = [...this.#members.values()].filter(({ replica }) => this.#admitted.has(replica.run));
    const holders = members.map((member) => member.holder());
    const plan = planCopies(holders, (name) => this.#heatOf(name), this.#surplusSince, this.#deps.clock.now());
    this.#surplusSince = plan.surplusSince;
    for (const adapter of plan.grow) this.#own(this.#grow(adapter));
    for (const adapter of plan.shrink) {
      const [hottest] = members.filter(({ residents }) => residents.of(adapter)?.state === 'loaded').sort((a, b) => b.heat - a.heat);
      if (hottest !== undefined) this.#withdraw(hottest, adapter);
    }
    this.#pursueAll();
    this.settle();
  }

  async #grow(adapter: AdapterName): Promise<void> {
    try {
      const files = await this.#deps.source.fetch(adapter, this.#closed.signal);
      await this.#place(adapter, files, { ...nobodyWaits(), crowded: true });
    } catch (error) {
      // It serves where it is.
      if (!this.#closed.signal.aborted) this.#deps.log.warn({ adapter, err: error }, 'could not load another copy of an adapter');
    }
  }

  /** Background work reports its own failures; any other end of it is a defect, which must be seen. */
  #own(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (!this.#closed.signal.aborted) this.#deps.log.error({ err: error }, 'defect in the placing of adapters');
    });
  }
}
