import { createHash, hash } from 'node:crypto';
import type { BlockPool } from './block-pool.ts';
import { crc32 } from './crc32.ts';
import type { Digests } from './source.ts';

/** What of an open file is needed to verify it. */
export interface ReadableFile {
  /** @returns `bytesRead: 0` at the end of the file */
  read(block: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
}

/** A file as it is read: one block of `pool` is in memory at a time. */
export interface FileReading {
  readonly file: ReadableFile;
  readonly sizeBytes: number;
  readonly pool: BlockPool;
  /** Those that were computed when its bytes came; it is not read for them. */
  readonly digests?: Digests | undefined;
}

/** Calls `take` with the file's bytes, in order. */
async function eachBlock({ file, sizeBytes, pool }: FileReading, take: (block: Uint8Array) => void, signal: AbortSignal): Promise<void> {
  const block = pool.take(sizeBytes);
  try {
    for (let at = 0; at < sizeBytes;) {
      signal.throwIfAborted();
      const { bytesRead } = await file.read(block, 0, Math.min(block.length, sizeBytes - at), at);
      // Cut short meanwhile: the digest will say so.
      if (bytesRead === 0) return;
      take(block.subarray(0, bytesRead));
      at += bytesRead;
    }
  } finally {
    pool.give(block);
  }
}

/** The CRC-32 of a file of that size. */
export async function fileCrc32(reading: FileReading, signal: AbortSignal): Promise<number> {
  let crc = 0;
  await eachBlock(reading, (block) => (crc = crc32(block, crc)), signal);
  return crc;
}

const hexCrc = (crc: number): string => crc.toString(16).padStart(8, '0');

const hashes = ['sha256', 'md5'] as const;

/** Of a file that is in memory as a whole: the digest that `digestProblem` would read it for. */
export function digestsOf(bytes: Uint8Array, expected: Digests): Digests {
  const name = expected.crc32 === undefined ? hashes.find((each) => expected[each] !== undefined) : undefined;
  return name === undefined ? {} : { [name]: hash(name, bytes) };
}

/** Which digest the file does not have; undefined where it has each that is known. The cheapest one decides. */
export async function digestProblem(reading: FileReading, crc: number, digests: Digests, signal: AbortSignal): Promise<string | undefined> {
  if (digests.crc32 !== undefined) {
    const is = hexCrc(crc);
    return is === digests.crc32 ? undefined : `CRC-32 ${is}, expected ${digests.crc32}`;
  }
  const name = hashes.find((each) => digests[each] !== undefined);
  if (name === undefined) return undefined;
  const is = reading.digests?.[name] ?? (await hashOf(reading, name, signal));
  return is === digests[name] ? undefined : `${name} ${is}, expected ${digests[name]}`;
}

async function hashOf(reading: FileReading, name: string, signal: AbortSignal): Promise<string> {
  const digest = createHash(name);
  await eachBlock(reading, (block) => digest.update(block), signal);
  return digest.digest('hex');
}

const longestHeader = 100 * 1024 * 1024;
const gguf = 0x46554747;

/** Why the beginning of a file of weights cannot be one; undefined for other files. */
export async function headerProblem({ file, sizeBytes }: FileReading, path: string): Promise<string | undefined> {
  const isGguf = path.toLowerCase().endsWith('.gguf');
  if (!isGguf && !path.toLowerCase().endsWith('.safetensors')) return undefined;
  const head = Buffer.alloc(16);
  const { bytesRead } = await file.read(head, 0, head.length, 0);
  if (isGguf) return bytesRead >= 8 && head.readUInt32LE(0) === gguf ? undefined : 'it does not begin as a GGUF file does';
  const length = bytesRead >= 9 ? head.readBigUInt64LE(0) : 0n;
  const fits = length > 1n && length <= longestHeader && length + 8n <= sizeBytes;
  return fits && head[8] === 0x7b ? undefined : 'it does not begin as a safetensors file does';
}
