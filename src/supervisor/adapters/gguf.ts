import { open } from 'node:fs/promises';

/** Bytes of a file that are looked at: an adapter's metadata are a few hundred bytes, and come first. */
const mostBytes = 1024 * 1024;
const mostEntries = 1024;

/** Bytes of the values of fixed size, by their type (GGUF 3): u8, i8, u16, i16, u32, i32, f32, bool, …, u64, i64, f64. */
const fixedBytes: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
const textType = 8;
const arrayType = 9;

/** Texts and numbers among the metadata of a GGUF file, up to the first array. @throws Error for another file. */
export async function readGgufMetadata(path: string): Promise<Readonly<Record<string, string | number>>> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(mostBytes), 0, mostBytes, 0);
    return parseGgufMetadata(buffer.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}

/** @throws Error for what is no GGUF file of version 2 or 3, and for one that ends too early. */
export function parseGgufMetadata(bytes: Buffer): Readonly<Record<string, string | number>> {
  if (bytes.subarray(0, 4).toString('latin1') !== 'GGUF') throw new Error('it is no GGUF file');
  const version = bytes.readUInt32LE(4);
  if (version !== 2 && version !== 3) throw new Error(`it is a GGUF file of version ${version}; expected 2 or 3`);
  const entries = Math.min(Number(bytes.readBigUInt64LE(16)), mostEntries);
  const found: Record<string, string | number> = {};
  let at = 24;
  const text = (): string => {
    const length = Number(bytes.readBigUInt64LE(at));
    if (at + 8 + length > bytes.length) throw new Error('it ends in the middle of its metadata');
    const value = bytes.toString('utf8', at + 8, at + 8 + length);
    at += 8 + length;
    return value;
  };
  for (let entry = 0; entry < entries; entry += 1) {
    const key = text();
    const type = bytes.readUInt32LE(at);
    at += 4;
    if (type === arrayType) return found;
    if (type === textType) found[key] = text();
    else {
      const size = fixedBytes[type];
      if (size === undefined) throw new Error(`it has metadata of the unknown type ${type}`);
      if (size <= 4) found[key] = type === 6 ? bytes.readFloatLE(at) : bytes.readUIntLE(at, size);
      at += size;
    }
  }
  return found;
}
