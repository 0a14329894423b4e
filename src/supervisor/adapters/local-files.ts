import { createHash } from 'node:crypto';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { GatewayError, messageOf } from '../../core/errors.ts';
import type { AdapterName } from '../../core/ids.ts';
import type { LoraSupport } from '../../plugins/engine-plugin.ts';
import type { PlacedFiles } from './files.ts';
import { adapterFile, expectedFiles, isGguf } from './format.ts';

type Format = LoraSupport['format'];

/** Where an adapter of a directory of adapters is: the file before a directory, which may hold it for other engines. @throws GatewayError `adapter_not_found` */
export async function pathBelow(root: string, adapter: AdapterName, format: Format): Promise<string> {
  const below = (await realpath(root).catch(() => root)) + sep;
  for (const name of format === 'gguf' ? [`${adapter}.gguf`, adapter] : [adapter]) {
    const path = await realpath(join(root, name)).catch(() => undefined);
    // A link, or a name, that leads out of the directory leads nowhere.
    if (path?.startsWith(below) === true) return path;
  }
  throw new GatewayError('adapter_not_found', `There is no adapter "${adapter}" in ${root} (lora_config.dynamic_lora_loading_path).`);
}

/** The adapter at a path. Nothing is copied: engines read it where it is. @throws GatewayError `adapter_not_found` */
export async function localFiles(path: string, format: Format): Promise<PlacedFiles> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw new GatewayError('adapter_not_found', `There is no adapter at ${path}.`);
  const hash = createHash('sha256');
  const note = (name: string, { size, mtimeMs }: { readonly size: number; readonly mtimeMs: number }): void => {
    hash.update(`\n${name} ${size} ${mtimeMs}`);
  };
  const names = found.isFile() ? [] : (await readdir(path)).sort();
  const file = found.isFile() ? aFile(path, format) : adapterFile(path, names, format);
  if (found.isFile()) note('', found);
  for (const name of names) note(name, await stat(join(path, name)));
  return { path: file, revision: hash.digest('hex').slice(0, 12), release: () => undefined };
}

function aFile(path: string, format: Format): string {
  if (format === 'gguf' && isGguf(path)) return path;
  throw new GatewayError('adapter_not_found', `${path} is no LoRA adapter for this engine; expected ${expectedFiles[format]}.`);
}

/** Names of what may be an adapter in a directory, as `ModelStore.names()` has them. @throws GatewayError `adapter_unavailable` */
export async function namesIn(root: string): Promise<readonly string[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch((error: unknown) => {
    throw new GatewayError('adapter_unavailable', `Cannot read ${root}: ${messageOf(error)}`, { cause: error });
  });
  // A link may lead to either.
  return entries.flatMap((entry) =>
    entry.isFile() ? [entry.name] : entry.isSymbolicLink() ? [entry.name, `${entry.name}/`] : [`${entry.name}/`],
  );
}
