import { randomFrom } from '../../src/plugins/fake/engine/random.ts';

/** What is in one cache, and at which request of the trace it was asked for last. */
type LastUse = ReadonlyMap<number, number>;

/**
 * Loads of one cache that takes in all that is asked for.
 * @param busy for how many requests more what was asked for is in use, and cannot go
 * @param worthOf what has least of it goes first
 */
function loadsOf(trace: readonly number[], room: number, busy: number, worthOf: (adapter: number, usedAt: number) => number): number {
  const cache = new Map<number, number>();
  let loads = 0;
  for (const [at, adapter] of trace.entries()) {
    if (!cache.has(adapter)) {
      loads += 1;
      if (cache.size >= room) cache.delete(leastWorth(cache, at - busy, worthOf));
    }
    cache.set(adapter, at);
  }
  return loads;
}

function leastWorth(cache: LastUse, usedBefore: number, worthOf: (adapter: number, usedAt: number) => number): number {
  let least = Number.POSITIVE_INFINITY;
  let victim: number | undefined;
  for (const [adapter, usedAt] of cache) {
    const worth = worthOf(adapter, usedAt);
    if (usedAt >= usedBefore || (victim !== undefined && worth >= least)) continue;
    least = worth;
    victim = adapter;
  }
  if (victim === undefined) throw new Error('more is in use than the cache has room for');
  return victim;
}

/** Knows all that will be asked for, and throws out what is needed last: nobody needs fewer loads. */
export function clairvoyant(trace: readonly number[], room: number, busy: number): number {
  const next: number[] = [];
  const seen = new Map<number, number>();
  for (let at = trace.length - 1; at >= 0; at -= 1) {
    const adapter = trace[at] ?? 0;
    next[at] = seen.get(adapter) ?? Number.POSITIVE_INFINITY;
    seen.set(adapter, at);
  }
  return loadsOf(trace, room, busy, (_, usedAt) => -(next[usedAt] ?? Number.POSITIVE_INFINITY));
}

/** Knows how often each is asked for in the long run, as nobody does, but not when: on a trace of Zipf's the best that one without foresight can do. */
export function frequenciesKnown(trace: readonly number[], room: number, busy: number): number {
  return loadsOf(trace, room, busy, (adapter) => -adapter);
}

const countOf = (value: number, among: readonly number[]): number => among.filter((other) => other === value).length;

/** Ray's way: the less loaded of two drawn replicas, then the adapter is loaded there; each replica throws out the least recently used. */
export function twoChoicesThenLoad(trace: readonly number[], replicas: number, room: number, inFlight: number): number {
  const random = randomFrom(7);
  const caches = Array.from({ length: replicas }, () => new Set<number>());
  const recent: number[] = [];
  let loads = 0;
  for (const adapter of trace) {
    const [one, two] = [Math.floor(random() * replicas), Math.floor(random() * replicas)];
    const chosen = countOf(one, recent) <= countOf(two, recent) ? one : two;
    const cache = caches[chosen] ?? new Set();
    if (!cache.delete(adapter)) {
      loads += 1;
      const [oldest] = cache;
      if (cache.size >= room && oldest !== undefined) cache.delete(oldest);
    }
    cache.add(adapter);
    recent.push(chosen);
    if (recent.length > inFlight) recent.shift();
  }
  return loads;
}
