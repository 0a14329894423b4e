import type { IncomingHttpHeaders } from 'node:http';
import type { Access, AccessKey } from '../../core/access.ts';
import { GatewayError } from '../../core/errors.ts';
import type { RoutingTable } from '../../core/table.ts';
import { credentialOf } from './credential.ts';
import { Keyring } from './keyring.ts';
import { TableViews } from './table-view.ts';

/** The same for no key, an unknown, a malformed and an expired one: what was wrong would help only who guesses. */
const refusalText = 'A valid API key is required: Authorization: Bearer <key>.';

/** Decides who may use the API, by one config's keys. Immutable: a reload makes another one, so that each request is judged by one config. */
export class Gate {
  readonly #ring: Keyring;
  /** Whether every route prefix asks for a key, and those that do where not. */
  readonly #all: boolean;
  readonly #guarded: ReadonlySet<string>;
  readonly #wallClock: () => number;
  readonly #views = new TableViews();

  /** `wallClock`: Unix milliseconds, for what expires. */
  constructor({ keys }: Access, wallClock: () => number) {
    this.#ring = new Keyring(keys);
    this.#all = keys.some(({ prefix }) => prefix === undefined);
    this.#guarded = new Set(keys.flatMap(({ prefix }) => prefix ?? []));
    this.#wallClock = wallClock;
  }

  /** Whether what stands under `prefix` asks for a key. */
  guards(prefix: string): boolean {
    return this.#all || this.#guarded.has(prefix);
  }

  /**
   * The key of a request to what stands under `prefix`; undefined where none is asked for.
   * @throws GatewayError `invalid_api_key`
   */
  admit(headers: IncomingHttpHeaders, prefix: string): AccessKey | undefined {
    if (!this.guards(prefix)) return undefined;
    const now = this.#wallClock();
    const fitting = this.#ring
      .find(credentialOf(headers))
      .find((key) => (key.prefix === undefined || key.prefix === prefix) && (key.expiresAt === undefined || now < key.expiresAt));
    if (fitting === undefined) throw new GatewayError('invalid_api_key', refusalText);
    return fitting;
  }

  /** What of a table the holder of a key sees. */
  visible(table: RoutingTable, key: AccessKey | undefined): RoutingTable {
    return key === undefined ? table : this.#views.of(table, key);
  }
}
