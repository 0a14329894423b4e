import assert from 'node:assert/strict';
import pino from 'pino';
import { LoadBoard } from '../../src/core/board.ts';
import { GatewayError } from '../../src/core/errors.ts';
import { adapterName, slot as toSlot } from '../../src/core/ids.ts';
import type { AdapterName, Slot } from '../../src/core/ids.ts';
import { AdapterPool } from '../../src/supervisor/adapters/pool.ts';
import type { AdapterReplica } from '../../src/supervisor/adapters/replica-adapters.ts';
import type { FetchedAdapter } from '../../src/supervisor/adapters/files.ts';
import { Slots } from '../../src/supervisor/slots.ts';
import { ManualClock } from './manual-clock.ts';

/** An engine as far as its adapters go: it loads as slowly as it is told, and has no more than it has room for. */
export class AdapterBox {
  readonly handles = new Set<string>();
  readonly loads: string[] = [];
  /** What its next loads fail with. */
  readonly failures: GatewayError[] = [];
  readonly #clock: ManualClock;
  readonly #room: number;
  readonly #loadMs: number;
  readonly #unloadMs: number;

  constructor(clock: ManualClock, { maxPerReplica: room, loadMs = 30, unloadMs = 0 }: FleetOptions) {
    this.#clock = clock;
    this.#room = room;
    this.#loadMs = loadMs;
    this.#unloadMs = unloadMs;
  }

  async load({ handle }: FetchedAdapter, signal: AbortSignal): Promise<void> {
    await this.#clock.sleep(this.#loadMs, signal);
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    this.loads.push(handle);
    this.handles.add(handle);
    assert.ok(this.handles.size <= this.#room, `more than ${this.#room} adapters loaded: ${[...this.handles].join(' ')}`);
  }

  async unload(handle: string, signal: AbortSignal): Promise<void> {
    if (this.#unloadMs > 0) await this.#clock.sleep(this.#unloadMs, signal);
    assert.ok(this.handles.delete(handle), `${handle} was unloaded, which is not loaded`);
  }

  resident(): Promise<readonly string[]> {
    return Promise.resolve([...this.handles]);
  }
}

interface Member {
  readonly replica: AdapterReplica;
  readonly box: AdapterBox;
  /** Requests it was given. */
  served: number;
}

interface Waiting {
  readonly adapter: AdapterName;
  readonly serviceMs: number;
  readonly ended: (outcome: string) => void;
}

export interface FleetOptions {
  readonly maxPerReplica: number;
  readonly loadMs?: number;
  readonly unloadMs?: number;
  readonly maxInFlight?: number;
}

/** One worker, a pool, and the engines of one model in one clock's time: requests wait, are routed and end as in the gateway. */
export class AdapterFleet {
  readonly clock = new ManualClock();
  readonly board = LoadBoard.create(1, 1024);
  readonly pool: AdapterPool;
  readonly members = new Map<string, Member>();
  /** `adapter` → revision that the source has; others do not exist. */
  readonly revisions = new Map<string, number>();
  /** Holds on files: one for each adapter that an engine has, once nothing is under way. */
  held = 0;
  readonly refusals: { adapter: string; code: string }[] = [];
  readonly counts = { loaded: 0, failed: 0, evicted: 0, crowded: 0 };
  /** Lines of its log. */
  readonly said: string[] = [];
  readonly #options: FleetOptions;
  readonly #slots = new Slots(1024);
  #waiting: Waiting[] = [];

  constructor(options: FleetOptions) {
    this.#options = options;
    this.pool = new AdapterPool({
      clock: this.clock,
      log: pino({ base: null, timestamp: false }, { write: (line) => void this.said.push(line.trimEnd()) }),
      board: this.board,
      maxPerReplica: options.maxPerReplica,
      takeSlot: () => this.#slots.take(),
      retireSlot: (slot) => {
        this.#slots.retire(slot);
        this.#slots.reclaim((other) => this.#quiet(other));
      },
      quiet: (slot) => this.#quiet(slot),
      changed: () => queueMicrotask(() => this.#wake()),
      source: {
        fetch: (adapter) => Promise.resolve().then(() => this.#files(adapter)),
        known: (handle) => {
          const adapter = adapterName(handle.slice(0, handle.lastIndexOf('.')));
          return Promise.resolve(this.revisions.has(adapter) ? { adapter, files: this.#files(adapter) } : undefined);
        },
        list: () => Promise.resolve([...this.revisions.keys()].sort().map(adapterName)),
      },
      refuse: (adapter, { code }) => {
        this.refusals.push({ adapter, code });
        this.#end((waiting) => waiting.adapter === adapter, code);
      },
      metrics: {
        loaded: (result) => (this.counts[result === 'ok' ? 'loaded' : 'failed'] += 1),
        evicted: () => (this.counts.evicted += 1),
        crowded: () => (this.counts.crowded += 1),
      },
    });
  }

  #files(adapter: AdapterName): FetchedAdapter {
    const revision = this.revisions.get(adapter);
    if (revision === undefined) throw new GatewayError('adapter_not_found', `no adapter ${adapter}`);
    this.held += 1;
    return {
      handle: `${adapter}.${revision}`,
      path: `/adapters/${adapter}`,
      revision: String(revision),
      keep: () => (this.held += 1),
      release: () => (this.held -= 1),
    };
  }

  #quiet(slot: Slot): boolean {
    const named = [...this.members.keys()].some((run) => [...this.pool.adaptersOf(run).values()].some((loaded) => loaded.slot === slot));
    return !named && this.board.read(slot) === 0;
  }

  /** @param box an engine that ran before, with what it has. */
  start(index: number, run = `run-${index}`, box = new AdapterBox(this.clock, this.#options)): AdapterBox {
    const slot = this.#slots.take();
    assert.ok(slot !== undefined);
    this.members.set(run, { replica: { index, run, slot, maxInFlight: this.#options.maxInFlight ?? 1000, engine: box }, box, served: 0 });
    this.#tell();
    return box;
  }

  stop(run: string): void {
    this.members.delete(run);
    this.#tell();
  }

  #tell(): void {
    this.pool.setReplicas([...this.members.values()].map(({ replica }) => replica));
  }

  /** Resolves with the handle that answered, or the code of an error. */
  request(adapter: string, serviceMs: number): Promise<string> {
    return new Promise((ended) => {
      const waiting = { adapter: adapterName(adapter), serviceMs, ended };
      if (this.#route(waiting)) return;
      this.#waiting.push(waiting);
      if (this.#waiting.filter((other) => other.adapter === waiting.adapter).length === 1) this.pool.demand(0, waiting.adapter, true);
    });
  }

  #route({ adapter, serviceMs, ended }: Waiting): boolean {
    const able = [...this.members.values()].flatMap((member) => {
      const loaded = this.pool.admits(member.replica.run) ? this.pool.adaptersOf(member.replica.run).get(adapter) : undefined;
      const load = this.board.read(member.replica.slot);
      return loaded === undefined || load >= member.replica.maxInFlight ? [] : [{ member, loaded, load }];
    });
    const best = able.sort((a, b) => a.load - b.load)[0];
    if (best === undefined) return false;
    const { member, loaded } = best;
    const slot = loaded.slot ?? toSlot(0);
    assert.ok(member.box.handles.has(loaded.handle), `${loaded.handle} is routed to, but is not loaded`);
    this.board.add(0, member.replica.slot, 1);
    this.board.add(0, slot, 1);
    this.board.moved(0, slot);
    member.served += 1;
    this.clock.after(serviceMs, () => {
      assert.ok(member.box.handles.has(loaded.handle), `${loaded.handle} was unloaded under a request`);
      this.board.add(0, member.replica.slot, -1);
      this.board.add(0, slot, -1);
      ended(loaded.handle);
      this.pool.settle();
      this.#wake();
    });
    return true;
  }

  #wake(): void {
    this.pool.settle();
    this.#end((waiting) => this.#route(waiting), undefined);
  }

  /** Takes out those that `over` says no longer wait; with an outcome they end with it. */
  #end(over: (waiting: Waiting) => boolean, outcome: string | undefined): void {
    const before = new Set(this.#waiting.map(({ adapter }) => adapter));
    const ended: Waiting[] = [];
    this.#waiting = this.#waiting.filter((waiting) => {
      if (!over(waiting)) return true;
      ended.push(waiting);
      return false;
    });
    for (const { ended: tell } of ended) if (outcome !== undefined) tell(outcome);
    for (const { adapter } of this.#waiting) before.delete(adapter);
    for (const adapter of before) this.pool.demand(0, adapter, false);
  }
}
