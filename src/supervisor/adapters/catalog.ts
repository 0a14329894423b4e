import type pino from 'pino';
import type { AdapterName } from '../../core/ids.ts';
import { messageOf } from '../../core/errors.ts';
import type { AdapterSource } from './source.ts';

export interface CatalogDeps {
  readonly log: pino.Logger;
  readonly source: Pick<AdapterSource, 'list'>;
  /** Tells clients what there is; called when that has changed. */
  show(names: readonly AdapterName[]): void;
}

/** The names of all adapters that a model's source has, as it was looked at last. */
export class AdapterCatalog {
  readonly #deps: CatalogDeps;
  #names: readonly AdapterName[] | undefined;

  constructor(deps: CatalogDeps) {
    this.#deps = deps;
  }

  /** Sorted; undefined before the first look has succeeded. */
  get names(): readonly AdapterName[] | undefined {
    return this.#names;
  }

  /** Looks again. A source that cannot be looked at changes nothing. */
  async refresh(signal: AbortSignal): Promise<void> {
    let names: readonly AdapterName[];
    try {
      names = await this.#deps.source.list(signal);
    } catch (error) {
      if (!signal.aborted) this.#deps.log.warn({ err: error }, `could not look for adapters: ${messageOf(error)}`);
      return;
    }
    const before = this.#names;
    if (before !== undefined && before.length === names.length && names.every((name, at) => name === before[at])) return;
    this.#names = names;
    this.#deps.log.info({ adapters: names.length }, 'adapters were found');
    this.#deps.show(names);
  }
}
