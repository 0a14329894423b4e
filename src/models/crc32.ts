import { createRequire } from 'node:module';
import { crc32 as slowly } from 'node:zlib';

type Crc32 = (bytes: Uint8Array, before: number) => number;

let fastest: Crc32 | undefined;

/** Node.js 24 computes it by tables, 4 GB/s; `@node-rs/crc32` by what processors have for it, 10 GB/s. It has no binary for every machine. */
function loadFastest(): Crc32 {
  try {
    return (createRequire(import.meta.url)('@node-rs/crc32') as { readonly crc32: Crc32 }).crc32;
  } catch {
    return slowly;
  }
}

/** The CRC-32 (ISO-HDLC) of what has the CRC-32 `before`, and `bytes` behind it. */
export function crc32(bytes: Uint8Array, before = 0): number {
  fastest ??= loadFastest();
  return fastest(bytes, before);
}

/** Reflected polynomial of CRC-32 (ISO-HDLC), which `crc32` computes. */
const polynomial = 0xedb88320;

/** a · b modulo the polynomial, over GF(2); bits reflected. */
function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = b;
  for (let bit = 0x80000000; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= shifted;
    shifted = (shifted & 1) === 0 ? shifted >>> 1 : (shifted >>> 1) ^ polynomial;
  }
  return product >>> 0;
}

/** x^(8·bytes) modulo the polynomial. */
function shiftOf(bytes: number): number {
  let power = 0x80000000;
  // x^8; squared for each binary digit of the length.
  let square = 0x00800000;
  for (let left = bytes; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) power = multiply(square, power);
    square = multiply(square, square);
  }
  return power;
}

/** The CRC-32 of two texts in a row, by the CRC-32 of each: a file's is known without reading it again, in whatever order its parts came. */
export function joinCrc32(first: number, second: number, secondBytes: number): number {
  return (multiply(shiftOf(secondBytes), first) ^ second) >>> 0;
}
