import { open, readFile, readdir } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { GatewayError, messageOf } from '../../core/errors.ts';
import { isMapping } from '../../core/json.ts';
import type { AdapterContents, LoraSupport } from '../../plugins/engine-plugin.ts';
import { configFile } from './format.ts';
import { readGgufMetadata } from './gguf.ts';

/** The header of a safetensors file is at most 100 MB by its own definition; an adapter's has a few hundred names. */
const longestHeaderBytes = 16 * 1024 * 1024;
const longestConfigBytes = 1024 * 1024;

/** Reads what the files of an adapter say of themselves. @throws GatewayError `adapter_invalid` */
export async function inspect(path: string, format: LoraSupport['format']): Promise<AdapterContents> {
  try {
    if (format === 'gguf') return { path, config: await readGgufMetadata(path), tensors: [] };
    return { path, config: await readConfig(join(path, configFile)), tensors: await tensorNames(path) };
  } catch (error) {
    throw new GatewayError('adapter_invalid', `The adapter cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

async function readConfig(file: string): Promise<Readonly<Record<string, unknown>>> {
  const text = await readFile(file, 'utf8');
  if (text.length > longestConfigBytes) throw new Error(`${configFile} has ${text.length} characters`);
  const config: unknown = JSON.parse(text);
  if (!isMapping(config)) throw new Error(`${configFile} is no object`);
  return config;
}

async function tensorNames(directory: string): Promise<readonly string[]> {
  const files = (await readdir(directory)).filter((name) => name.endsWith('.safetensors'));
  const names: string[] = [];
  for (const file of files) names.push(...(await namesInSafetensors(join(directory, file))));
  return names;
}

/** A length of 8 bytes, then that much JSON: tensor name → its type and place. */
async function namesInSafetensors(path: string): Promise<readonly string[]> {
  const file = await open(path);
  try {
    const length = Number((await exactly(file, 0, 8)).readBigUInt64LE(0));
    if (length > longestHeaderBytes) throw new Error(`${path} has a header of ${length} bytes`);
    const header: unknown = JSON.parse((await exactly(file, 8, length)).toString('utf8'));
    return isMapping(header) ? Object.keys(header).filter((name) => name !== '__metadata__') : [];
  } finally {
    await file.close();
  }
}

async function exactly(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at);
  if (bytesRead < length) throw new Error(`it ends after ${at + bytesRead} bytes; expected ${at + length}`);
  return buffer;
}
