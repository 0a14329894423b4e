import type { ModelName, ReplicaId } from '../core/ids.ts';
import type { RoutingTable } from '../core/table.ts';
import { admits, begun, type Breaker, concluded, trusted, type Verdict } from './breaker.ts';

/** How long a replica that has just come is spared: its caches are cold and its kernels not all compiled. */
const slowStartMs = 10_000;
/** The share of a full load that one gets in its first moment. */
const leastShare = 0.1;

/** What one worker has seen of the replicas that its table names. Only what is unusual is kept: most have nothing to be looked up. */
export class ReplicaMemory {
  #known: ReadonlySet<ReplicaId> = new Set();
  /** When each model that has replicas got its first. */
  #begun: ReadonlyMap<ModelName, number> = new Map();
  /** When those that have just come did. */
  readonly #newcomers = new Map<ReplicaId, number>();
  /** When the last of them is no newcomer any more. */
  #allWarmAt = 0;
  readonly #distrusted = new Map<ReplicaId, Breaker>();

  /**
   * Takes in a new table: who is new from `now` on, and who is forgotten. While a model's first replica is new itself, its peers are as
   * warm as it is.
   */
  retain(table: RoutingTable, now: number): void {
    const live = new Set<ReplicaId>();
    const begunAt = new Map<ModelName, number>();
    for (const [name, { replicas }] of table.models) {
      if (replicas.length === 0) continue;
      const since = this.#begun.get(name) ?? now;
      begunAt.set(name, since);
      for (const { id } of replicas) {
        live.add(id);
        if (this.#known.has(id) || now - since < slowStartMs) continue;
        this.#newcomers.set(id, now);
        this.#allWarmAt = now + slowStartMs;
      }
    }
    this.#begun = begunAt;
    for (const [id, since] of this.#newcomers) if (!live.has(id) || now - since >= slowStartMs) this.#newcomers.delete(id);
    for (const id of this.#distrusted.keys()) if (!live.has(id)) this.#distrusted.delete(id);
    this.#known = live;
  }

  /** Nothing is unusual of any replica. */
  isEmpty(now: number): boolean {
    if (this.#newcomers.size > 0 && now >= this.#allWarmAt) this.#newcomers.clear();
    return this.#newcomers.size === 0 && this.#distrusted.size === 0;
  }

  admits(id: ReplicaId, now: number): boolean {
    if (this.#distrusted.size === 0) return true;
    const breaker = this.#distrusted.get(id);
    return breaker === undefined || admits(breaker, now);
  }

  /** The share of a full load it should get: from 0.1, when it has just come, to 1. */
  share(id: ReplicaId, now: number): number {
    if (this.#newcomers.size === 0) return 1;
    const since = this.#newcomers.get(id);
    if (since === undefined) return 1;
    const share = (now - since) / slowStartMs;
    if (share >= 1) this.#newcomers.delete(id);
    return Math.min(1, Math.max(leastShare, share));
  }

  begun(id: ReplicaId, now: number): void {
    const breaker = this.#distrusted.get(id);
    if (breaker !== undefined) this.#distrusted.set(id, begun(breaker, now));
  }

  concluded(id: ReplicaId, verdict: Verdict, now: number): void {
    if (verdict === 'ok' && this.#distrusted.size === 0) return;
    if (!this.#known.has(id)) return;
    const after = concluded(this.#distrusted.get(id) ?? trusted, verdict, now);
    if (after.kind === 'closed' && after.failures === 0 && now >= after.busyUntil) this.#distrusted.delete(id);
    else this.#distrusted.set(id, after);
  }
}
