/** FNV-1a over UTF-16 code units, 32 bits. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}

/**
 * How much a key prefers the replica at `index`: a number from 0 to 2³² − 1 that looks random in both arguments (the finalizer of
 * MurmurHash3). Whoever knows the indices agrees on the order without talking, and when a replica goes only its own keys move.
 */
export function weightOf(key: number, index: number): number {
  let mixed = Math.imul(key ^ Math.imul(index + 1, 0x9e3779b1), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** Keys are told apart by so many groups, so that what a group prefers can be remembered: 256 groups a replica where there are 256 of them. */
export const keyGroups = 65_536;

/** The group of a key, from 0 to `keyGroups` − 1: the same everywhere. */
export function groupOf(key: number): number {
  return weightOf(key, -1) >>> 16;
}

/** Where in a list of replicas' indices the one stands that a group of keys prefers: −1 in an empty list. `below`: only weights under this. */
export function heaviestOf(group: number, indices: Uint32Array, below = Number.POSITIVE_INFINITY): number {
  let best = -1;
  let bestWeight = -1;
  for (let at = 0; at < indices.length; at += 1) {
    const weight = weightOf(group, indices[at] as number);
    if (weight <= bestWeight || weight >= below) continue;
    best = at;
    bestWeight = weight;
  }
  return best;
}
