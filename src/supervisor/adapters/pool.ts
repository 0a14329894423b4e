import { GatewayError, messageOf } from '../../core/errors.ts';
import type { AdapterName } from '../../core/ids.ts';
import type { LoadedAdapter } from '../../core/table.ts';
import type { FetchedAdapter } from './files.ts';
import { Loader, withdraw } from './loader.ts';
import { Members } from './members.ts';
import { welcome } from './newcomer.ts';
import { Refused } from './refused.ts';
import { Renewal } from './renewal.ts';
import { ReplicaAdapters } from './replica-adapters.ts';
import type { AdapterReplica, ReplicaAdaptersDeps } from './replica-adapters.ts';
import type { AdapterReport } from './report.ts';
import type { AdapterSource } from './source.ts';
import { Spreading } from './spreading.ts';
import { Waits } from './waits.ts';
import type { Wanted } from './waits.ts';

export interface AdapterPoolDeps extends ReplicaAdaptersDeps {
  readonly source: AdapterSource;
  /** Answers all who wait for the adapter. */
  refuse(adapter: AdapterName, error: GatewayError): void;
}

/** How often load is looked at: for copies, and for what waits. */
const everyMs = 1_000;

/**
 * The owner of what adapters the replicas of one model have loaded. Requests never wait in it: they wait for the table to change, and
 * their workers say so here.
 */
export class AdapterPool {
  readonly #deps: AdapterPoolDeps;
  readonly #members: Members;
  readonly #waits = new Waits();
  readonly #refused: Refused<AdapterName>;
  readonly #loader: Loader;
  readonly #renewal: Renewal;
  readonly #spreading: Spreading;
  readonly #closed = new AbortController();
  #cancelTick: (() => void) | undefined;

  constructor(deps: AdapterPoolDeps) {
    this.#deps = deps;
    this.#members = new Members(deps.clock);
    this.#refused = new Refused(deps.clock);
    const settle = (): void => this.settle();
    this.#loader = new Loader(this.#members, { ...deps, settle });
    this.#renewal = new Renewal(this.#members, { log: deps.log, settle, own: (work) => this.#own(work) });
    this.#spreading = new Spreading(this.#members, {
      ...deps,
      settle,
      loader: this.#loader,
      withFiles: (adapter, use) => this.#withFiles(adapter, use),
      closed: () => this.#closed.signal.aborted,
    });
  }

  /** The replicas that are ready; to be called whenever they change. */
  setReplicas(replicas: readonly AdapterReplica[]): void {
    const runs = new Set(replicas.map(({ run }) => run));
    for (const { replica } of this.#members.all()) if (!runs.has(replica.run)) this.#members.remove(replica.run);
    for (const replica of replicas) if (this.#members.get(replica.run) === undefined) this.#welcome(replica);
  }

  /** Whether a replica has the adapters of its range, so that it may get requests. */
  admits(run: string): boolean {
    return this.#members.admits(run);
  }

  /** What requests may name on a replica. */
  adaptersOf(run: string): ReadonlyMap<AdapterName, LoadedAdapter> {
    return this.#members.get(run)?.residents.loaded() ?? new Map();
  }

  /** A worker says whether requests for an adapter wait there. */
  demand(worker: number, adapter: AdapterName, waiting: boolean): void {
    const wanted = this.#waits.heard({ worker, adapter, waiting }, this.#refused, this.#deps);
    if (wanted === undefined) return;
    this.#pursue(adapter, wanted);
    this.#tickSoon();
  }

  /** A worker is gone, with all who waited in it. */
  forgetWorker(worker: number): void {
    this.#waits.forgetWorker(worker);
  }

  /** To be called whenever a slot may have become quiet. */
  settle(): void {
    for (const member of this.#members.all()) if (member.unsettled) this.#own(this.#settle(member));
  }

  async #settle(member: ReplicaAdapters): Promise<void> {
    if (await member.settle()) this.#pursueAll();
  }

  /** Whether `settle()` is waited for. */
  get unsettled(): boolean {
    return this.#members.all().some((member) => member.unsettled);
  }

  /** Loads an adapter, or its new weights, without a request. @throws GatewayError as `AdapterSource.fetch()` and `AdapterEngine.load()` */
  async load(adapter: AdapterName): Promise<void> {
    this.#refused.delete(adapter);
    await this.#withFiles(adapter, async (files) => {
      if (this.#renewal.begin(adapter, files) || this.#members.admitted().length === 0) return;
      if (!(await this.#loader.bring(adapter, files)))
        throw new GatewayError('adapter_unavailable', 'All adapters on all replicas are in use: there is no room for another one now.');
    });
  }

  /** Takes an adapter from all replicas, once its requests have ended; says from how many. It comes back when it is asked for. */
  unload(adapter: AdapterName): number {
    const left = this.#members.all().filter((member) => withdraw(member, adapter));
    this.settle();
    return left.length;
  }

  /** Where the source has other weights for a loaded adapter, they are loaded beside the old, which go when the new ones serve. */
  async refresh(): Promise<void> {
    for (const adapter of this.#renewal.names()) {
      try {
        await this.#withFiles(adapter, (files) => void this.#renewal.begin(adapter, files));
      } catch (error) {
        // What is loaded serves on: the source may only be out of reach.
        if (!this.#closed.signal.aborted) this.#deps.log.warn({ adapter, err: error }, 'could not look for new weights of an adapter');
      }
    }
  }

  report(): readonly AdapterReport[] {
    return this.#members.all().flatMap(({ replica, residents }) =>
      [...residents.all()].map(({ adapter, state, slot, files }) => ({
        adapter,
        replica: replica.index,
        state,
        revision: files.revision,
        inFlight: this.#deps.board.read(slot),
        heat: this.#members.heatOf(adapter),
      })),
    );
  }

  /** Adapters that requests wait for, and which of them wait because all others are in use. */
  waitingFor(): readonly { readonly adapter: AdapterName; readonly crowded: boolean }[] {
    return this.#waits.all().map(([adapter, { crowded }]) => ({ adapter, crowded }));
  }

  close(): void {
    this.#closed.abort(new GatewayError('shutting_down', 'the gateway is stopping'));
    this.#cancelTick?.();
    for (const { replica } of this.#members.all()) this.#members.remove(replica.run);
  }

  #welcome(replica: AdapterReplica): void {
    const member = new ReplicaAdapters(replica, this.#deps);
    this.#members.add(member);
    this.#tickSoon();
    this.#own(this.#admitInTime(member));
  }

  async #admitInTime(member: ReplicaAdapters): Promise<void> {
    if (!(await welcome(member, this.#members, this.#deps))) return;
    this.#members.admit(member.replica.run);
    this.#deps.changed();
    this.#pursueAll();
  }

  async #withFiles(adapter: AdapterName, use: (files: FetchedAdapter) => Promise<void> | void): Promise<void> {
    const files = await this.#deps.source.fetch(adapter, this.#closed.signal);
    try {
      await use(files);
    } finally {
      files.release();
    }
  }

  #pursueAll(): void {
    // In the order in which they were first waited for: room goes to who has waited longest.
    for (const [adapter, wanted] of this.#waits.all()) this.#pursue(adapter, wanted);
  }

  /** Brings an adapter that requests wait for to a replica. Harmless where that is under way. */
  #pursue(adapter: AdapterName, wanted: Wanted): void {
    if (wanted.pursued || this.#isComing(adapter)) return;
    wanted.pursued = true;
    this.#own(
      this.#withFiles(adapter, (files) => this.#loader.place(adapter, files, wanted))
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
    const having = this.#members.having(adapter);
    const here = having.some(({ member, present }) => present.state === 'loading' || member.hasRoom);
    // Where all are busy another copy would only take the place of what is used.
    return here || (having.length > 0 && !this.#members.all().some((member) => member.hasRoom));
  }

  #refuse(adapter: AdapterName, thrown: unknown): void {
    const error = thrown instanceof GatewayError ? thrown : new GatewayError('adapter_unavailable', messageOf(thrown), { cause: thrown });
    this.#deps.log.warn({ adapter, code: error.code }, `adapter is refused: ${error.message}`);
    this.#refused.add(adapter, error);
    this.#waits.over(adapter);
    this.#deps.refuse(adapter, error);
  }

  #tickSoon(): void {
    this.#cancelTick ??= this.#deps.clock.after(everyMs, () => {
      this.#cancelTick = undefined;
      this.#tick();
      if (this.#members.size > 0) this.#tickSoon();
    });
  }

  #tick(): void {
    this.#members.sample();
    this.#own(this.#spreading.look());
    this.#pursueAll();
    this.settle();
  }

  /** Background work reports its own failures; any other end of it is a defect, which must be seen. */
  #own(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (!this.#closed.signal.aborted) this.#deps.log.error({ err: error }, 'defect in the placing of adapters');
    });
  }
}
