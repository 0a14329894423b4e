import { GatewayError, messageOf } from '../../core/errors.ts';
import { ArtifactError } from '../../models/artifact-error.ts';
import type { RemoteReference } from '../../models/reference.ts';
import { referenceText } from '../../models/reference.ts';
import type { SourceEnv } from '../../models/source.ts';
import type { ModelLease, ModelStore } from '../../models/store.ts';
import type { LoraSupport } from '../../plugins/engine-plugin.ts';
import type { PlacedFiles } from './files.ts';
import { adapterFile } from './format.ts';

/** How the adapters of one model are brought here. */
export interface StoredFilesDeps {
  readonly store: Pick<ModelStore, 'fetch' | 'revisions' | 'heldAt' | 'names'>;
  /** For credentials and endpoints. */
  readonly env: SourceEnv;
  readonly format: LoraSupport['format'];
  readonly trustRemoteCode: boolean;
  /** The longest that one fetch may take. */
  readonly timeoutMs: number | undefined;
}

/** Adapters of buckets and of the model hub: fetched once for this machine, verified, and shown as a whole. */
export class StoredFiles {
  readonly #deps: StoredFilesDeps;

  constructor(deps: StoredFilesDeps) {
    this.#deps = deps;
  }

  /** What there is at `reference` now. @throws GatewayError as `AdapterSource.fetch()` */
  async fetch(reference: RemoteReference, signal: AbortSignal): Promise<PlacedFiles> {
    const { store, env, format, trustRemoteCode, timeoutMs } = this.#deps;
    const shown = referenceText(reference);
    const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
    try {
      const lease = await store.fetch(reference, {
        env,
        trustRemoteCode,
        expects: { id: `adapter ${format}`, check: (paths) => void adapterFile('', paths, format, shown) },
        onProgress: () => undefined,
        signal: timeout === undefined ? signal : AbortSignal.any([signal, timeout]),
      });
      return this.#placed(lease, format);
    } catch (thrown) {
      signal.throwIfAborted();
      if (timeout?.aborted === true)
        throw new GatewayError(
          'adapter_unavailable',
          `${shown} was not here within ${(timeoutMs ?? 0) / 1000} s (lora_config.download_timeout_s).`,
        );
      throw asAdapterError(thrown);
    }
  }

  /** The revisions of `reference` that are here. */
  revisions(reference: RemoteReference): readonly string[] {
    return this.#deps.store.revisions(reference);
  }

  /** One of them; undefined where it is not here. */
  async heldAt(reference: RemoteReference, revision: string, signal: AbortSignal): Promise<PlacedFiles | undefined> {
    const lease = await this.#deps.store.heldAt(reference, revision, signal);
    return lease === undefined ? undefined : this.#placed(lease, this.#deps.format);
  }

  /** Names directly below `reference`, those of directories with a `/` behind. @throws GatewayError `adapter_unavailable` */
  async names(reference: RemoteReference, signal: AbortSignal): Promise<readonly string[]> {
    const names: string[] = [];
    try {
      for await (const name of this.#deps.store.names(reference, this.#deps.env, signal)) names.push(name);
    } catch (thrown) {
      signal.throwIfAborted();
      throw new GatewayError('adapter_unavailable', messageOf(thrown), { cause: thrown });
    }
    return names;
  }

  #placed(lease: ModelLease, format: LoraSupport['format']): PlacedFiles {
    const { root, path, revision } = lease;
    return { path: format === 'peft' ? root : path, revision, release: () => lease.release() };
  }
}

/** What the store says, for who asked for an adapter. */
function asAdapterError(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError && !(thrown instanceof ArtifactError)) return thrown;
  const problem = thrown instanceof ArtifactError ? thrown.problem : undefined;
  const code =
    problem === 'missing'
      ? 'adapter_not_found'
      : problem === 'unsafe' || problem === 'checksum'
        ? 'adapter_invalid'
        : 'adapter_unavailable';
  return new GatewayError(code, messageOf(thrown), { cause: thrown });
}
