import { join } from 'node:path';
import { isAdapterName } from '../../core/adapter-name.ts';
import { GatewayError } from '../../core/errors.ts';
import type { LoraSupport } from '../../plugins/engine-plugin.ts';

type Format = LoraSupport['format'];

/** Every PEFT adapter has one; what has none is no adapter. */
export const configFile = 'adapter_config.json';
/** Files of an adapter that are looked at; more are no adapter's. */
const mostFiles = 256;

/** For who gave something else. */
export const expectedFiles: Readonly<Record<Format, string>> = {
  peft: `a directory with ${configFile}`,
  gguf: 'a GGUF file, or a directory with one',
};

export function isGguf(path: string): boolean {
  return path.toLowerCase().endsWith('.gguf');
}

/**
 * What of a directory an engine is given: the directory, or the one GGUF file in it.
 * @param names of its files; below it where they have a `/`
 * @throws GatewayError `adapter_not_found`
 */
export function adapterFile(directory: string, names: readonly string[], format: Format, shown = directory): string {
  const refuse = (why: string): never => {
    throw new GatewayError('adapter_not_found', `${shown} is no LoRA adapter for this engine: ${why}; expected ${expectedFiles[format]}.`);
  };
  if (names.length > mostFiles) return refuse(`it has ${names.length} files`);
  if (format === 'peft') return names.includes(configFile) ? directory : refuse(`it has no ${configFile}`);
  const ggufs = names.filter((name) => isGguf(name) && !name.includes('/'));
  const [file] = ggufs;
  return ggufs.length === 1 && file !== undefined ? join(directory, file) : refuse(`it has ${ggufs.length} GGUF files`);
}

/** The adapter that a name in a directory (`name/`) or of a file (`name`) stands for; undefined: none. */
export function nameOf(entry: string, format: Format): string | undefined {
  const name = entry.endsWith('/') ? entry.slice(0, -1) : format === 'gguf' && isGguf(entry) ? entry.slice(0, -'.gguf'.length) : '';
  return isAdapterName(name) && !name.startsWith('.') && !/[/@]/u.test(name) ? name : undefined;
}
