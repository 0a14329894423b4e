import { createHash } from 'node:crypto';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { GatewayError, messageOf } from '../../core/errors.ts';
import { adapterName } from '../../core/ids.ts';
import type { AdapterName } from '../../core/ids.ts';
import type { FetchedAdapter } from './residents.ts';
import type { AdapterSource } from './source.ts';

/** Where a model's adapters are on this machine. */
export interface AdapterPlaces {
  /** A directory with a directory for each adapter; its path is absolute. */
  readonly root: string | undefined;
  /** Adapters with a path of their own, which come first. */
  readonly listed: readonly { readonly name: AdapterName; readonly path: string }[];
}

/** Every PEFT adapter has one; what has none is no adapter. */
const configFile = 'adapter_config.json';
/** Files of an adapter that are looked at; more are no adapter's. */
const mostFiles = 256;

/** Letters, digits, `.`, `_` and `-`, as handles are; the revision, of which the name is a part, tells names apart that look alike then. */
function handleOf(adapter: AdapterName, revision: string): string {
  return `${wordOf(adapter)}.${revision}`;
}

function wordOf(adapter: AdapterName): string {
  return adapter.replaceAll(/[^A-Za-z0-9._-]/gu, '-');
}

/** Adapters in directories. Nothing is copied: engines read them where they are. */
export class AdapterDirectories implements AdapterSource {
  readonly #places: AdapterPlaces;

  constructor(places: AdapterPlaces) {
    this.#places = places;
  }

  async fetch(adapter: AdapterName): Promise<FetchedAdapter> {
    const path = await this.#pathOf(adapter);
    const revision = await revisionOf(adapter, path);
    return { handle: handleOf(adapter, revision), path, revision };
  }

  async known(handle: string): Promise<{ readonly adapter: AdapterName; readonly files: FetchedAdapter } | undefined> {
    const word = handle.slice(0, Math.max(0, handle.lastIndexOf('.')));
    const listed = this.#places.listed.map(({ name }) => name).filter((name) => wordOf(name) === word);
    for (const adapter of [...listed, adapterName(word)]) {
      // What cannot be read is not known.
      const files = await this.fetch(adapter).catch(() => undefined);
      if (files?.handle === handle) return { adapter, files };
    }
    return undefined;
  }

  /** Names of all there are, sorted. What is no adapter although it has a directory is found out when it is asked for. */
  async list(): Promise<readonly AdapterName[]> {
    const { root, listed } = this.#places;
    const names = new Set<string>(listed.map(({ name }) => name));
    if (root !== undefined) {
      const entries = await readdir(root, { withFileTypes: true }).catch((error: unknown) => {
        throw new GatewayError('adapter_unavailable', `Cannot read ${root}: ${messageOf(error)}`, { cause: error });
      });
      for (const entry of entries) if (!entry.isFile() && !entry.name.startsWith('.')) names.add(entry.name);
    }
    return [...names].sort().map(adapterName);
  }

  async #pathOf(adapter: AdapterName): Promise<string> {
    const { root, listed } = this.#places;
    const own = listed.find(({ name }) => name === adapter);
    if (own !== undefined) return own.path;
    if (root === undefined) throw new GatewayError('adapter_not_found', `There is no adapter "${adapter}" (lora_config.adapters).`);
    const path = await realpath(join(root, adapter)).catch(() => undefined);
    // A link, or a name, that leads out of the directory leads nowhere.
    if (path === undefined || !path.startsWith((await realpath(root)) + sep))
      throw new GatewayError('adapter_not_found', `There is no adapter "${adapter}" in ${root} (lora_config.dynamic_lora_loading_path).`);
    return path;
  }
}

/** Changes when a file of it does. @throws GatewayError `adapter_not_found` where there is no adapter. */
async function revisionOf(adapter: AdapterName, path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw new GatewayError('adapter_not_found', `There is no adapter "${adapter}": ${path} does not exist.`);
  const hash = createHash('sha256').update(adapter);
  const note = (name: string, { size, mtimeMs }: { readonly size: number; readonly mtimeMs: number }): void => {
    hash.update(`\n${name} ${size} ${mtimeMs}`);
  };
  if (found.isFile()) note('', found);
  else {
    const names = (await readdir(path)).sort();
    if (!names.includes(configFile) || names.length > mostFiles)
      throw new GatewayError('adapter_not_found', `${path} is no LoRA adapter: it has no ${configFile}.`);
    for (const name of names) note(name, await stat(join(path, name)));
  }
  return hash.digest('hex').slice(0, 12);
}
