import { randomFrom } from '../../src/plugins/fake/engine/random.ts';

export interface ZipfTrace {
  readonly seed: number;
  readonly requests: number;
  readonly adapters: number;
  /** 1: the n-th most asked for gets 1/n of what the first one gets. */
  readonly exponent?: number;
}

/** The number of the adapter that each request asks for; 0 is asked for most. */
export function zipf({ seed, requests, adapters, exponent = 1 }: ZipfTrace): readonly number[] {
  const random = randomFrom(seed);
  const sums: number[] = [];
  for (let at = 0; at < adapters; at += 1) sums.push((sums[at - 1] ?? 0) + 1 / (at + 1) ** exponent);
  const total = sums.at(-1) ?? 0;
  return Array.from({ length: requests }, () => {
    const drawn = random() * total;
    return sums.findIndex((sum) => sum >= drawn);
  });
}
