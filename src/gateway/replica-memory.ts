import type { ReplicaId } from '../core/ids.ts';
import type { RoutingTable } from '../core/table.ts';
import { admits, begun, type Breaker, concluded, trusted, type Verdict } from './breaker.ts';

/** How long a replica that has just come is spared: its caches are cold and its kernels not all compiled. */
const slowStartMs = 10_000;
/** The share of a full load that one gets in its first moment. */
const leastShare = 0.1;

interface Memory {
  /** Undefined: it was there in the first table, like all its peers. */
  readonly since: number | undefined;
  breaker: Breaker;
}

/** What one worker has seen of the replicas that its table names. */
export class ReplicaMemory {
  readonly #memories = new Map<ReplicaId, Memory>();
  #begun = false;

  /** Takes in a new table: who is new from `now` on, and who is forgotten. */
  retain(table: RoutingTable, now: number): void {
    const live = new Set<ReplicaId>();
    for (const { replicas } of table.models.values()) {
      for (const { id } of replicas) {
        live.add(id);
        if (!this.#memories.has(id)) this.#memories.set(id, { since: this.#begun ? now : undefined, breaker: trusted });
      }
    }
    for (const id of this.#memories.keys()) if (!live.has(id)) this.#memories.delete(id);
    this.#begun ||= live.size > 0;
  }

  admits(id: ReplicaId, now: number): boolean {
    const memory = this.#memories.get(id);
    return memory === undefined || memory.breaker === trusted || admits(memory.breaker, now);
  }

  /** The share of a full load it should get: from 0.1, when it has just come, to 1. */
  share(id: ReplicaId, now: number): number {
    const since = this.#memories.get(id)?.since;
    if (since === undefined) return 1;
    return Math.min(1, Math.max(leastShare, (now - since) / slowStartMs));
  }

  begun(id: ReplicaId, now: number): void {
    const memory = this.#memories.get(id);
    if (memory !== undefined) memory.breaker = begun(memory.breaker, now);
  }

  concluded(id: ReplicaId, verdict: Verdict, now: number): void {
    const memory = this.#memories.get(id);
    if (memory !== undefined) memory.breaker = concluded(memory.breaker, verdict, now);
  }
}
