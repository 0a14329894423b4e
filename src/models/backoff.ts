const firstMs = 500;
const longestMs = 30_000;

/** Milliseconds to wait after so many failures in a row (1 or more): doubling, with a jitter of half. 0 ≤ random < 1. */
export function backoffMs(failures: number, random: number): number {
  const full = Math.min(longestMs, firstMs * 2 ** (failures - 1));
  return full / 2 + (full / 2) * random;
}
