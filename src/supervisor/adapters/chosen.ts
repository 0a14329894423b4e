import type { LoadBoard } from '../../core/board.ts';
import type { Clock } from '../../core/clock.ts';
import type { AdapterName, Slot } from '../../core/ids.ts';
import type { FetchedAdapter } from './files.ts';
import { Heat } from './heat.ts';
import type { Chosen } from './start-set.ts';

export interface ChosenAdaptersDeps {
  readonly clock: Clock;
  readonly board: Pick<LoadBoard, 'read' | 'readProgress'>;
  takeSlot(): Slot | undefined;
  retireSlot(slot: Slot): void;
}

interface Member {
  readonly files: FetchedAdapter;
  /** Counts its requests, on all replicas. */
  readonly slot: Slot;
  usesSeen: number;
}

const heatLimits = { halfLifeMs: 600_000, most: 4096 } as const;

/** The adapters that the next replica is started with, each with its files and a slot of its own on the board. */
export class ChosenAdapters {
  readonly #deps: ChosenAdaptersDeps;
  readonly #members = new Map<AdapterName, Member>();
  readonly #heat = new Heat<AdapterName>(heatLimits);

  constructor(deps: ChosenAdaptersDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#members.size;
  }

  get names(): readonly AdapterName[] {
    return [...this.#members.keys()];
  }

  has(adapter: AdapterName): boolean {
    return this.#members.has(adapter);
  }

  filesOf(adapter: AdapterName): FetchedAdapter | undefined {
    return this.#members.get(adapter)?.files;
  }

  slotOf(adapter: AdapterName): Slot | undefined {
    return this.#members.get(adapter)?.slot;
  }

  /** The files are its own from now on; false where the board has no slot left, and then nothing has changed. */
  add(adapter: AdapterName, files: FetchedAdapter): boolean {
    const slot = this.#deps.takeSlot();
    if (slot === undefined) return false;
    this.#members.set(adapter, { files, slot, usesSeen: this.#deps.board.readProgress(slot) });
    return true;
  }

  /** Other weights, whose files are its own from now on. */
  renew(adapter: AdapterName, files: FetchedAdapter): void {
    const member = this.#members.get(adapter);
    if (member === undefined) throw new Error(`${adapter} is not chosen`);
    member.files.release();
    this.#members.set(adapter, { ...member, files });
  }

  drop(adapter: AdapterName): void {
    const member = this.#members.get(adapter);
    if (member === undefined) return;
    this.#members.delete(adapter);
    this.#deps.retireSlot(member.slot);
    member.files.release();
  }

  inFlight(adapter: AdapterName): number {
    const slot = this.slotOf(adapter);
    return slot === undefined ? 0 : this.#deps.board.read(slot);
  }

  heatOf(adapter: AdapterName): number {
    return this.#heat.of(adapter, this.#deps.clock.now());
  }

  /** As `changeStartSet()` sees it, with what was used until now. */
  look(): readonly Chosen[] {
    const now = this.#deps.clock.now();
    for (const [adapter, member] of this.#members) {
      const uses = this.#deps.board.readProgress(member.slot);
      this.#heat.add(adapter, (uses - member.usesSeen) >>> 0, now);
      member.usesSeen = uses;
    }
    return this.names.map((adapter) => ({ adapter, heat: this.heatOf(adapter), inFlight: this.inFlight(adapter) }));
  }
}
