import type { AdapterPlace, Adapters } from '../../config/config.ts';
import { splitRevision } from '../../core/adapter-name.ts';
import { GatewayError } from '../../core/errors.ts';
import { adapterName } from '../../core/ids.ts';
import type { AdapterName } from '../../core/ids.ts';
import type { RemoteReference } from '../../models/reference.ts';
import type { LoraSupport } from '../../plugins/engine-plugin.ts';
import { fetchedAdapter, handleOf, wordIn, wordOf } from './files.ts';
import type { FetchedAdapter, PlacedFiles } from './files.ts';
import { nameOf } from './format.ts';
import { inspect } from './inspect.ts';
import { localFiles, namesIn, pathBelow } from './local-files.ts';
import type { ReplicaPlan } from '../replica-plan.ts';
import type { AdapterSource } from './source.ts';
import { StoredFiles } from './stored-files.ts';
import type { StoredFilesDeps } from './stored-files.ts';

type Places = Pick<Adapters, 'root' | 'listed'>;
type AdapterRules = Pick<LoraSupport, 'format' | 'problem'>;

/** A model's adapters by their names: those listed, and those below one place. */
export class AdapterSources implements AdapterSource {
  readonly #places: Places;
  readonly #rules: AdapterRules;
  readonly #stored: StoredFiles;

  constructor(places: Places, rules: AdapterRules, stored: StoredFiles) {
    this.#places = places;
    this.#rules = rules;
    this.#stored = stored;
  }

  get #format(): LoraSupport['format'] {
    return this.#rules.format;
  }

  async fetch(adapter: AdapterName, signal: AbortSignal): Promise<FetchedAdapter> {
    const { name, revision } = splitRevision(adapter);
    const places = this.#placesOf(name);
    for (const [at, place] of places.entries()) {
      try {
        return fetchedAdapter(adapter, await this.#checked(await this.#filesAt(adapter, place, revision, signal)));
      } catch (thrown) {
        const elsewhere = thrown instanceof GatewayError && thrown.code === 'adapter_not_found' && at + 1 < places.length;
        if (!elsewhere) throw thrown;
      }
    }
    throw new GatewayError('adapter_not_found', `There is no adapter "${name}" (lora_config.adapters).`);
  }

  async known(handle: string, signal: AbortSignal): Promise<{ readonly adapter: AdapterName; readonly files: FetchedAdapter } | undefined> {
    const word = wordIn(handle);
    const listed = this.#places.listed.map(({ name }) => name).filter((name) => wordOf(name) === word);
    for (const adapter of [...listed, adapterName(word)]) {
      // What cannot be read is not known.
      const files = await this.#heldAs(adapter, handle, signal).catch(() => undefined);
      if (files !== undefined) return { adapter, files };
    }
    return undefined;
  }

  async list(signal: AbortSignal): Promise<readonly AdapterName[]> {
    const { root, listed } = this.#places;
    const names = new Set<string>(listed.map(({ name }) => name));
    const entries =
      root === undefined || root.kind === 'hub'
        ? []
        : root.kind === 'path'
          ? await namesIn(root.value)
          : await this.#stored.names(root.reference, signal);
    for (const entry of entries) {
      const name = nameOf(entry, this.#format);
      if (name !== undefined) names.add(name);
    }
    return [...names].sort().map(adapterName);
  }

  /** Where an adapter may be, in the order in which it is looked for. @throws GatewayError `adapter_not_found` */
  #placesOf(name: AdapterName): readonly (AdapterPlace | 'below-root')[] {
    const { root, listed } = this.#places;
    const own = listed.find((entry) => entry.name === name);
    if (own !== undefined) return [own.place];
    if (root === undefined) return [];
    if (root.kind === 'path') return ['below-root'];
    const remote = (reference: RemoteReference): AdapterPlace => ({ kind: 'remote', value: name, reference });
    if (root.kind === 'hub') {
      const repo = root.owner === undefined ? name : `${root.owner}/${name}`;
      if (repo.split('/').length !== 2)
        throw new GatewayError(
          'adapter_not_found',
          `There is no adapter "${name}": expected ${root.owner === undefined ? 'owner/name' : 'a name'} of the model hub.`,
        );
      return [remote({ kind: 'hf', repo, revision: 'main', file: undefined })];
    }
    const { reference } = root;
    if (reference.kind !== 's3' && reference.kind !== 'gs') return [];
    const below = (file: string): AdapterPlace =>
      remote({ ...reference, prefix: reference.prefix === '' ? file : `${reference.prefix}/${file}` });
    return this.#format === 'gguf' ? [below(`${name}.gguf`), below(name)] : [below(name)];
  }

  async #filesAt(
    adapter: AdapterName,
    place: AdapterPlace | 'below-root',
    revision: string | undefined,
    signal: AbortSignal,
  ): Promise<PlacedFiles> {
    if (place === 'below-root' || place.kind === 'path') {
      const { root } = this.#places;
      const { name } = splitRevision(adapter);
      const path = place !== 'below-root' ? place.value : await pathBelow(root?.value ?? '', name, this.#format);
      return pinned(adapter, await localFiles(path, this.#format), revision);
    }
    const { reference } = place;
    // The hub has revisions of its own.
    if (reference.kind === 'hf') return this.#stored.fetch(revision === undefined ? reference : { ...reference, revision }, signal);
    // What was here before is there as long as the cache keeps it.
    const held = revision === undefined ? undefined : await this.#stored.heldAt(reference, revision, signal);
    return held ?? pinned(adapter, await this.#stored.fetch(reference, signal), revision);
  }

  /** @throws GatewayError `adapter_invalid` for what the engine must not be given. */
  async #checked(files: PlacedFiles): Promise<PlacedFiles> {
    const { format, problem } = this.#rules;
    if (problem === undefined) return files;
    try {
      const why = problem(await inspect(files.path, format));
      if (why !== undefined) throw new GatewayError('adapter_invalid', why);
      return files;
    } catch (thrown) {
      files.release();
      throw thrown;
    }
  }

  /** The files whose handle it is, without asking a store. */
  async #heldAs(adapter: AdapterName, handle: string, signal: AbortSignal): Promise<FetchedAdapter | undefined> {
    for (const place of this.#placesOf(adapter)) {
      if (place !== 'below-root' && place.kind === 'remote') {
        const revision = this.#stored.revisions(place.reference).find((one) => handleOf(adapter, one) === handle);
        const held = revision === undefined ? undefined : await this.#stored.heldAt(place.reference, revision, signal);
        if (held !== undefined) return fetchedAdapter(adapter, held);
        continue;
      }
      const files = fetchedAdapter(adapter, await this.#filesAt(adapter, place, undefined, signal));
      if (files.handle === handle) return files;
      files.release();
    }
    return undefined;
  }
}

/** @throws GatewayError `adapter_not_found` where a pinned revision is not what there is. */
function pinned(adapter: AdapterName, files: PlacedFiles, revision: string | undefined): PlacedFiles {
  if (revision === undefined || revision === files.revision) return files;
  files.release();
  const { name } = splitRevision(adapter);
  throw new GatewayError('adapter_not_found', `There is no revision "${revision}" of the adapter "${name}"; there is ${files.revision}.`);
}

function away(): never {
  throw new GatewayError('adapter_unavailable', 'nothing here can bring adapters that are elsewhere');
}

/** The adapters of a model, where nothing here can bring those that are elsewhere. */
export function localAdapters({ model, engine }: ReplicaPlan): AdapterSource {
  const store: StoredFilesDeps['store'] = { fetch: away, revisions: () => [], heldAt: () => Promise.resolve(undefined), names: away };
  return adapterSources({ model, engine }, store, {});
}

/** The adapters of a model with `lora_config`. @param env the gateway's own: the model's stands above it. */
export function adapterSources(
  { model, engine }: Pick<ReplicaPlan, 'model' | 'engine'>,
  store: StoredFilesDeps['store'],
  env: StoredFilesDeps['env'],
): AdapterSource {
  const { adapters } = model;
  if (adapters === undefined || engine.lora === undefined) throw new Error(`${model.name} has no adapters`);
  const { trustRemoteCode, downloadTimeoutMs: timeoutMs } = adapters;
  const { format } = engine.lora;
  return new AdapterSources(
    adapters,
    engine.lora,
    new StoredFiles({ store, env: { ...env, ...model.env }, format, trustRemoteCode, timeoutMs }),
  );
}
