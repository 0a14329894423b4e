import type { LoadBoard } from '../core/board.ts';
import type { Slot } from '../core/ids.ts';
import { emptyTable } from '../core/table.ts';
import type { ReplicaView, RoutingTable } from '../core/table.ts';
import { buildTable, contentOf } from './table.ts';
import type { ModelFact } from './table.ts';

export interface TablePublisherDeps {
  readonly board: Pick<LoadBoard, 'read'>;
  /** Hands a table to every worker. */
  publish(table: RoutingTable): void;
  /** Lowest version that every live worker has applied; Infinity when none lives. */
  appliedVersion(): number;
}

/** Hands out routing tables, and remembers which slots the workers may still be using by an older one. */
export class TablePublisher {
  readonly #deps: TablePublisherDeps;
  /** For a slot that some table has named: the version of the first one that does not. */
  readonly #withdrawnIn = new Map<Slot, number>();
  #version = emptyTable.version;
  /** Slots that the last table names. */
  #named: ReadonlySet<Slot> = new Set();
  #content = contentOf(emptyTable);

  constructor(deps: TablePublisherDeps) {
    this.#deps = deps;
  }

  /** Publishes what has become of the table, if it says something new. */
  publish(models: readonly ModelFact[], apps: RoutingTable['apps'], now: number): void {
    const table = buildTable(this.#version + 1, models, apps, now);
    const content = contentOf(table);
    if (content === this.#content) return;
    const named = slotsOf(table);
    for (const slot of this.#named) if (!named.has(slot)) this.#withdrawnIn.set(slot, table.version);
    for (const slot of named) this.#withdrawnIn.delete(slot);
    this.#version = table.version;
    this.#named = named;
    this.#content = content;
    this.#deps.publish(table);
  }

  /** Both facts of a drain: every worker has applied a table without the slot, and nothing is counted on it. */
  quiet(slot: Slot): boolean {
    if (this.#named.has(slot)) return false;
    return this.#deps.appliedVersion() >= (this.#withdrawnIn.get(slot) ?? 0) && this.#deps.board.read(slot) === 0;
  }
}

function slotsOf(table: RoutingTable): ReadonlySet<Slot> {
  return new Set([...table.models.values()].flatMap((entry) => [entry.waiting, ...entry.replicas.flatMap(slotsOfReplica)]));
}

function slotsOfReplica({ slot, adapters }: ReplicaView): readonly Slot[] {
  return [slot, ...[...(adapters?.values() ?? [])].flatMap((loaded) => loaded.slot ?? [])];
}
