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
