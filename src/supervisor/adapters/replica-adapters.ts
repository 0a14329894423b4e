import type pino from 'pino';
import type { LoadBoard } from '../../core/board.ts';
import type { Clock } from '../../core/clock.ts';
import { GatewayError } from '../../core/errors.ts';
import type { AdapterName, Slot } from '../../core/ids.ts';
import type { Heat } from './heat.ts';
import type { AdapterSource } from './source.ts';
import type { Holder } from './placement.ts';
import type { FetchedAdapter } from './files.ts';
import { newResident, Residents } from './residents.ts';
import type { Resident } from './residents.ts';

/** The calls of one replica's engine. */
export interface AdapterEngine {
  /** @throws GatewayError `adapter_not_found`, `adapter_invalid`, `adapter_unavailable` */
  load(files: FetchedAdapter, signal: AbortSignal): Promise<void>;
  /** @throws GatewayError `adapter_unavailable` */
  unload(handle: string, signal: AbortSignal): Promise<void>;
  /** Handles of what it has loaded, by its own word. @throws GatewayError `adapter_unavailable` */
  resident(signal: AbortSignal): Promise<readonly string[]>;
}

/** A replica that serves the model. */
export interface AdapterReplica {
  readonly index: number;
  /** One run of it: another has other adapters. */
  readonly run: string;
  /** Counts all its requests. */
  readonly slot: Slot;
  readonly maxInFlight: number;
  readonly engine: AdapterEngine;
}

/** What is counted; each is called once for the event it is named after. */
export interface AdapterMetrics {
  loaded(result: 'ok' | 'failed', seconds: number): void;
  evicted(): void;
  /** A wait began because all adapters on all replicas were in use. */
  crowded(): void;
}

export interface ReplicaAdaptersDeps {
  readonly clock: Clock;
  readonly log: pino.Logger;
  readonly board: Pick<LoadBoard, 'read' | 'readProgress'>;
  /** Adapters a replica may have at a time. */
  readonly maxPerReplica: number;
  takeSlot(): Slot | undefined;
  retireSlot(slot: Slot): void;
  /** Whether no worker routes by a table that names the slot, and nothing is counted on it. */
  quiet(slot: Slot): boolean;
  /** What requests may name may have changed. */
  changed(): void;
  readonly metrics: AdapterMetrics;
}

/** An engine takes seconds for an adapter; one that takes this long hangs. */
const callTimeoutMs = 60_000;

/** The owner of what one replica's engine has loaded. */
export class ReplicaAdapters {
  readonly replica: AdapterReplica;
  readonly #deps: ReplicaAdaptersDeps;
  readonly #residents: Residents;
  readonly #gone = new AbortController();
  /** One call at a time: engines lock while they load. */
  #turn: Promise<void> = Promise.resolve();

  constructor(replica: AdapterReplica, deps: ReplicaAdaptersDeps) {
    this.replica = replica;
    this.#deps = deps;
    this.#residents = new Residents(deps.maxPerReplica);
  }

  /** Aborted when the replica is. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  get residents(): Pick<Residents, 'all' | 'of' | 'loaded' | 'size'> {
    return this.#residents;
  }

  get hasRoom(): boolean {
    return this.#deps.board.read(this.replica.slot) < this.replica.maxInFlight;
  }

  /** What it has and has room for, as placement sees it. */
  holding(): Omit<Holder, 'heat'> {
    return { index: this.replica.index, ...this.#residents.residences((slot) => this.#deps.board.read(slot)) };
  }

  /** Reads how often its adapters were picked since the last time. */
  sample(heat: Heat<AdapterName>): void {
    const now = this.#deps.clock.now();
    for (const resident of this.#residents.all()) {
      const uses = this.#deps.board.readProgress(resident.slot);
      const since = (uses - resident.usesSeen) >>> 0;
      resident.usesSeen = uses;
      resident.uses += since;
      heat.add(resident.adapter, since, now);
    }
  }

  /**
   * Of a new run: its engine's own word holds. What has a name is kept, all else is unloaded.
   * @throws GatewayError `adapter_unavailable`
   */
  async takeOver(known: AdapterSource['known']): Promise<void> {
    const { clock, board } = this.#deps;
    const { engine } = this.replica;
    for (const handle of await engine.resident(this.signal)) {
      const named = await known(handle, this.signal);
      const slot = named === undefined || this.#residents.size >= this.#deps.maxPerReplica ? undefined : this.#deps.takeSlot();
      if (named === undefined || slot === undefined) {
        named?.files.release();
        await this.#call((signal) => engine.unload(handle, signal));
      } else this.#residents.add(newResident({ ...named, slot, state: 'loaded', since: clock.now(), usesSeen: board.readProgress(slot) }));
    }
  }

  /**
   * The files are kept as long as it is loaded.
   * @param room the engine is told then; until then, too, no other is given the place.
   * @throws GatewayError as `AdapterEngine.load()`, and then nothing has changed.
   */
  async load(adapter: AdapterName, files: FetchedAdapter, room?: Promise<void>): Promise<void> {
    const { clock, board, log, metrics } = this.#deps;
    const slot = this.#deps.takeSlot();
    if (slot === undefined) throw new GatewayError('adapter_unavailable', 'the load board has no slot left for another adapter');
    const resident = newResident({ adapter, files, slot, state: 'loading', since: clock.now(), usesSeen: board.readProgress(slot) });
    files.keep();
    this.#residents.add(resident);
    await room;
    const began = clock.now();
    const seconds = (): number => (clock.now() - began) / 1000;
    try {
      await this.#call((signal) => this.replica.engine.load(files, signal));
    } catch (error) {
      metrics.loaded('failed', seconds());
      this.#forget(resident);
      throw error;
    }
    resident.state = 'loaded';
    resident.since = clock.now();
    metrics.loaded('ok', seconds());
    log.info({ adapter, replica: this.replica.index, revision: files.revision, seconds: seconds() }, 'adapter is loaded');
    this.#deps.changed();
  }

  /** Takes an adapter out of what requests may name; `settle()` unloads it once none uses it. False where it is not loaded. */
  withdraw(resident: Resident): boolean {
    if (resident.state !== 'loaded') return false;
    resident.state = 'leaving';
    this.#deps.changed();
    return true;
  }

  /** Unloads what has left; resolves with whether that made room. */
  async settle(): Promise<boolean> {
    const left = [...this.#residents.all()].filter(({ state, slot }) => state === 'leaving' && this.#deps.quiet(slot));
    for (const resident of left) resident.state = 'unloading';
    for (const resident of left) await this.#unload(resident);
    return left.length > 0;
  }

  /** Whether something is on its way out. */
  get unsettled(): boolean {
    return [...this.#residents.all()].some(({ state }) => state === 'leaving');
  }

  /** The run is over. */
  close(): void {
    this.#gone.abort(new GatewayError('adapter_unavailable', 'the replica is gone'));
    for (const { slot, files, left } of this.#residents.all()) {
      this.#deps.retireSlot(slot);
      files.release();
      left.resolve();
    }
  }

  #forget(resident: Resident): void {
    this.#residents.delete(resident);
    // Else close() has given all back.
    if (this.signal.aborted) return;
    this.#deps.retireSlot(resident.slot);
    resident.files.release();
  }

  async #unload(resident: Resident): Promise<void> {
    try {
      await this.#call((signal) => this.replica.engine.unload(resident.files.handle, signal));
    } catch (error) {
      // It takes room in the engine; if it then has none for the next one, who waits for that is told so.
      if (!this.signal.aborted) this.#deps.log.warn({ adapter: resident.adapter, err: error }, 'could not unload an adapter');
    }
    this.#forget(resident);
  }

  #call(call: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const run = this.#callAfter(this.#turn, call);
    this.#turn = run.catch(() => undefined);
    return run;
  }

  async #callAfter(before: Promise<void>, call: (signal: AbortSignal) => Promise<void>): Promise<void> {
    await before;
    const timeout = new AbortController();
    const cancel = this.#deps.clock.after(callTimeoutMs, () =>
      timeout.abort(new GatewayError('adapter_unavailable', `the engine did not answer within ${callTimeoutMs / 1000} s`)),
    );
    try {
      this.signal.throwIfAborted();
      await call(AbortSignal.any([this.signal, timeout.signal]));
    } finally {
      cancel();
    }
  }
}
