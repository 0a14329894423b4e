import { replicaId, slot } from '../../src/core/ids.ts';
import type { ReplicaView } from '../../src/core/table.ts';
import { LoadBoard } from '../../src/core/board.ts';
import { hashText } from '../../src/core/rendezvous.ts';
import { Candidates } from '../../src/gateway/candidates.ts';
import { route, type Sight } from '../../src/gateway/route.ts';
import type { Turn } from './trace.ts';

export type Policy = 'round-robin' | 'least-in-flight' | 'affinity';
export const policies: readonly Policy[] = ['round-robin', 'least-in-flight', 'affinity'];

export interface HitRate {
  /** Prompt tokens that the replica had in its KV cache, of all. */
  readonly hit: number;
  /** Most requests on a replica ÷ mean. */
  readonly spread: number;
}

/** Tokens one replica keeps of its last prompts, least recently used out. */
const cacheTokens = 200_000;

/** What an engine's prefix cache does: whole conversations, least recently used out. */
class PrefixCache {
  readonly #lengths = new Map<number, number>();
  #total = 0;

  /** Tokens of the prompt that were there; afterwards all are. */
  take({ conversation, promptTokens, sharedTokens }: Turn): number {
    const known = this.#lengths.get(conversation);
    const hit = Math.min(promptTokens, known ?? (this.#lengths.size > 0 ? sharedTokens : 0));
    this.#total += promptTokens - (known ?? 0);
    this.#lengths.delete(conversation);
    this.#lengths.set(conversation, promptTokens);
    for (const [oldest, length] of this.#lengths) {
      if (this.#total <= cacheTokens) break;
      this.#lengths.delete(oldest);
      this.#total -= length;
    }
    return hit;
  }
}

/** Runs a trace over simulated replicas with the gateway's own `route()`. */
export function hitRate(policy: Policy, trace: readonly Turn[], replicas: number): HitRate {
  const views = Array.from({ length: replicas }, (_, index): ReplicaView => ({
    id: replicaId(`r${index}`),
    slot: slot(index),
    index,
    upstream: '',
    apiKey: '',
    maxInFlight: Number.POSITIVE_INFINITY,
  }));
  const inFlight = views.map(() => 0);
  const caches = views.map(() => new PrefixCache());
  const served = views.map(() => 0);
  const candidates = new Candidates(views, LoadBoard.create(1, 1));
  const sight: Sight = {
    load: ({ index }) => inFlight[index] ?? 0,
    total: () => running.length,
    favourite: (group, after) => candidates.favourite(group, after),
    alike: true,
    admits: () => true,
    share: () => 1,
  };
  let running: { readonly until: number; readonly index: number }[] = [];
  let hit = 0;
  let all = 0;
  for (const [turn, request] of trace.entries()) {
    for (const { index } of running.filter(({ until }) => until <= request.at)) inFlight[index] = (inFlight[index] ?? 0) - 1;
    running = running.filter(({ until }) => until > request.at);
    const affinity = policy === 'affinity' ? hashText(`conversation ${request.conversation}`) : undefined;
    const decision = route({ exclude: new Set(), tieBreak: turn, affinity }, views, sight);
    if (decision.kind !== 'send') throw new Error('a replica without limits was full');
    const index = policy === 'round-robin' ? turn % replicas : decision.replica.index;
    inFlight[index] = (inFlight[index] ?? 0) + 1;
    served[index] = (served[index] ?? 0) + 1;
    running.push({ until: request.at + request.serviceS, index });
    hit += caches[index]?.take(request) ?? 0;
    all += request.promptTokens;
  }
  return { hit: hit / all, spread: Math.max(...served) / (trace.length / replicas) };
}
