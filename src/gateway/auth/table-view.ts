import type { AccessKey } from '../../core/access.ts';
import type { RoutingTable } from '../../core/table.ts';

/** What holders of keys see of tables. A view is kept for as long as its table and its key are. */
export class TableViews {
  readonly #views = new WeakMap<RoutingTable, WeakMap<AccessKey, RoutingTable>>();

  /** The table with the names of those models only that the key may use. */
  of(table: RoutingTable, key: AccessKey): RoutingTable {
    const { models } = key;
    if (models === undefined) return table;
    const ofTable = this.#views.get(table) ?? new WeakMap<AccessKey, RoutingTable>();
    this.#views.set(table, ofTable);
    const view = ofTable.get(key) ?? restricted(table, new Set(models));
    ofTable.set(key, view);
    return view;
  }
}

function restricted(table: RoutingTable, models: ReadonlySet<string>): RoutingTable {
  const apps = [...table.apps].map(([prefix, names]) => [prefix, new Map([...names].filter(([, model]) => models.has(model)))] as const);
  return { ...table, apps: new Map(apps), unrestricted: table.apps };
}
