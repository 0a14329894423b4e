import type { AdapterName, ModelName } from '../core/ids.ts';
import type { RoutingTable } from '../core/table.ts';

/** Between two names, in which it does not occur. */
export const nameSeparator = '\n';

/** Names of the adapters that were found, loaded or not. Kept as one text a model: there may be thousands, which are seldom asked for. */
export class AdapterNames {
  readonly #byModel = new Map<ModelName, string>();

  /** @param names sorted, with `nameSeparator` between them. */
  set(model: ModelName, names: string): void {
    if (names === '') this.#byModel.delete(model);
    else this.#byModel.set(model, names);
  }

  /** Those found, and those loaded besides, such as pinned revisions. */
  of(model: ModelName, table: RoutingTable): Iterable<string> {
    const found = this.#byModel.get(model)?.split(nameSeparator) ?? [];
    const more = [...loadedOf(model, table)].filter((name) => !this.#has(model, name));
    return more.length === 0 ? found : [...found, ...more.sort()];
  }

  /** Whether `of()` has the adapter. */
  knows(model: ModelName, adapter: AdapterName, table: RoutingTable): boolean {
    return this.#has(model, adapter) || loadedOf(model, table).has(adapter);
  }

  #has(model: ModelName, adapter: string): boolean {
    const names = this.#byModel.get(model);
    return names !== undefined && `${nameSeparator}${names}${nameSeparator}`.includes(`${nameSeparator}${adapter}${nameSeparator}`);
  }
}

/** Adapters of a model that requests may be sent to now. */
export function loadedOf(model: ModelName, table: RoutingTable): ReadonlySet<string> {
  return new Set((table.models.get(model)?.replicas ?? []).flatMap(({ adapters }) => [...(adapters?.keys() ?? [])]));
}
