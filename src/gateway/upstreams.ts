import { getCACertificates } from 'node:tls';
import { Pool } from 'undici';
import type { ReplicaId } from '../core/ids.ts';
import type { ReplicaView, RoutingTable } from '../core/table.ts';
import { readMemory } from './read-memory.ts';

/** One worker's connections to the replicas. */
export class Upstreams {
  readonly #pools = new Map<ReplicaId, { readonly upstream: string; readonly pool: Pool }>();

  /** The replica's connections; opened on first use. */
  poolOf(replica: ReplicaView): Pool {
    const known = this.#pools.get(replica.id);
    if (known?.upstream === replica.upstream) return known.pool;
    if (known !== undefined) this.#retire(known.pool);
    const pool = new Pool(replica.upstream, {
      pipelining: 1,
      // Engines close idle connections after 5 s; closing ours first spares the request that would meet the close.
      keepAliveTimeout: 4000,
      keepAliveMaxTimeout: 4000,
      connect: {
        timeout: 5000,
        onread: readMemory,
        ...(replica.ca === undefined ? {} : { ca: [...getCACertificates('default'), replica.ca] }),
      },
    });
    this.#pools.set(replica.id, { upstream: replica.upstream, pool });
    return pool;
  }

  /** Closes connections to replicas that a table no longer names, once what runs on them has ended. */
  retain(table: RoutingTable): void {
    const live = new Set<ReplicaId>();
    for (const entry of table.models.values()) for (const replica of entry.replicas) live.add(replica.id);
    for (const [id, { pool }] of this.#pools) {
      if (live.has(id)) continue;
      this.#pools.delete(id);
      this.#retire(pool);
    }
  }

  #retire(pool: Pool): void {
    // A pool that is closed twice rejects; it is closed either way.
    pool.close().catch(() => undefined);
  }

  /** Cuts every connection. */
  async destroy(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map(({ pool }) => pool.destroy()));
  }
}
