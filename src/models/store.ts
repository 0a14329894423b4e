import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import { ArtifactError } from './artifact-error.ts';
import { bootId } from './boot-id.ts';
import { revisionOf, slugOf } from './cache.ts';
import type { Cached, ModelCache } from './cache.ts';
import { entryProblem, modelPath, writeEntry } from './entry.ts';
import type { Entry } from './entry.ts';
import { defaultFetchLimits, Fetch } from './fetch.ts';
import type { FetchLimits } from './fetch.ts';
import { listAll } from './listing.ts';
import { openSource } from './open-source.ts';
import { PartialDownload } from './partial.ts';
import { planFetch } from './plan-fetch.ts';
import type { FetchPlan } from './plan-fetch.ts';
import { ProgressMeter } from './progress.ts';
import type { FetchProgress } from './progress.ts';
import type { RemoteReference } from './reference.ts';
import { referenceText } from './reference.ts';
import { makeRoom } from './room.ts';
import { Shared } from './shared.ts';
import { shippedCode } from './shipped-code.ts';
import type { RemoteObject, Source, SourceEnv } from './source.ts';
import { damageOf } from './verify-entry.ts';

export interface FetchOptions {
  /** For credentials and endpoints; the process's own variables are not added. */
  readonly env: SourceEnv;
  readonly trustRemoteCode: boolean;
  /** What it must be; left out: anything. */
  readonly expects?: Expectation;
  readonly signal: AbortSignal;
  onProgress(progress: FetchProgress): void;
}

/** Asked of the paths of a listing before anything is fetched. */
export interface Expectation {
  /** Tells it from others. */
  readonly id: string;
  /** @throws for what is something else. */
  check(paths: readonly string[]): void;
}

/** A model on this machine. `release()` lets the cache take it away again; until then it stays. */
export interface ModelLease {
  /** What an engine is given: a directory, or a file. */
  readonly path: string;
  /** The directory that all its files are below. */
  readonly root: string;
  readonly revision: string;
  readonly sizeBytes: number;
  /** Set where the store could not be asked whether there is a newer one. */
  readonly stale: string | undefined;
  release(): void;
}

export interface StoreDeps {
  readonly cache: ModelCache;
  /** Bytes that the cache may have; undefined: as many as the disk has. */
  readonly maxBytes: number | undefined;
  readonly clock: Clock;
  /** 0 ≤ random() < 1. */
  readonly random: () => number;
  readonly limits?: Partial<FetchLimits>;
  readonly open?: (reference: RemoteReference, env: SourceEnv) => Promise<Source>;
}

const changesSurvived = 3;

/** Of an entry of the cache what does not change; that of thousands of files is not read more often than it must be. */
type Held = Pick<Cached, 'id' | 'dir' | 'entry'>;

interface Found {
  readonly held: Held;
  readonly stale: string | undefined;
}

/**
 * Brings models here: listed, fetched in parts, verified, and shown as a whole. Callers of one process who want the same model share the
 * work, and so do several gateways.
 */
export class ModelStore {
  readonly cache: ModelCache;
  readonly #deps: StoreDeps;
  readonly #limits: FetchLimits;
  readonly #shared: Shared<FetchProgress, Found>;

  constructor(deps: StoreDeps) {
    this.cache = deps.cache;
    this.#deps = deps;
    this.#limits = { ...defaultFetchLimits, ...deps.limits };
    this.#shared = new Shared();
  }

  /** @throws ArtifactError `artifact_unavailable`; the signal's reason. */
  async fetch(reference: RemoteReference, options: FetchOptions): Promise<ModelLease> {
    const key = JSON.stringify([reference, options.trustRemoteCode, options.env, options.expects?.id]);
    const work = async (signal: AbortSignal, onProgress: (progress: FetchProgress) => void): Promise<Found> =>
      await this.#make(reference, { ...options, signal, onProgress });
    for (;;) {
      const { held, stale } = await this.#shared.run(key, work, options.onProgress.bind(options), options.signal);
      const lease = await this.#lease(held, stale, options.signal);
      // Taken away between its end and the lease: once more.
      if (lease !== undefined) return lease;
    }
  }

  /** What is here of a reference already, without asking its store. */
  async held(reference: RemoteReference, signal: AbortSignal): Promise<ModelLease | undefined> {
    const found = this.cache.latest(referenceText(reference));
    return found === undefined ? undefined : await this.#lease(found, undefined, signal);
  }

  /** The revisions of a reference that are here, the last used first. */
  revisions(reference: RemoteReference): readonly string[] {
    return this.cache.revisions(referenceText(reference)).map(({ entry }) => entry.revision);
  }

  /** One of `revisions()`, without asking its store; undefined where it is not here. */
  async heldAt(reference: RemoteReference, revision: string, signal: AbortSignal): Promise<ModelLease | undefined> {
    const found = this.cache.revisions(referenceText(reference)).find(({ entry }) => entry.revision === revision);
    return found === undefined ? undefined : await this.#lease(found, undefined, signal);
  }

  /** Names directly below a reference in its store, as `Source.names()`; none where it has no such thing. */
  async *names(reference: RemoteReference, env: SourceEnv, signal: AbortSignal): AsyncIterable<string> {
    const source = await this.#open(reference, env);
    try {
      if (source.names !== undefined) yield* source.names(signal);
    } finally {
      source.close();
    }
  }

  /** What is below a reference in its store; nothing is fetched. */
  async *list(reference: RemoteReference, env: SourceEnv, signal: AbortSignal): AsyncIterable<RemoteObject> {
    const source = await this.#open(reference, env);
    try {
      yield* source.list(signal);
    } finally {
      source.close();
    }
  }

  async #lease({ id, dir, entry }: Held, stale: string | undefined, signal: AbortSignal): Promise<ModelLease | undefined> {
    const lock = await this.cache.lease(id, signal);
    if (lock === undefined) return undefined;
    return {
      path: modelPath(dir, entry),
      root: join(dir, 'files'),
      revision: entry.revision,
      sizeBytes: entry.sizeBytes,
      stale,
      release: () => {
        lock.release();
      },
    };
  }

  async #open(reference: RemoteReference, env: SourceEnv): Promise<Source> {
    return await (this.#deps.open ?? openSource)(reference, env);
  }

  async #make(reference: RemoteReference, options: FetchOptions): Promise<Found> {
    const source = await this.#open(reference, options.env);
    try {
      for (let tries = 1; ; tries += 1) {
        try {
          return await this.#once(source, reference, options);
        } catch (thrown) {
          options.signal.throwIfAborted();
          // Somebody uploads at this moment: what it is now is listed anew.
          if (!(thrown instanceof ArtifactError) || thrown.problem !== 'changed' || tries >= changesSurvived) throw thrown;
        }
      }
    } finally {
      source.close();
    }
  }

  async #once(source: Source, reference: RemoteReference, options: FetchOptions): Promise<Found> {
    const name = referenceText(reference);
    options.onProgress({ kind: 'listing' });
    let objects: readonly RemoteObject[];
    try {
      objects = await listAll(source, { ...this.#deps, stallMs: this.#limits.stallMs }, options.signal);
    } catch (thrown) {
      options.signal.throwIfAborted();
      const here = this.cache.latest(name);
      // A store that is away must not keep a model from starting that is here.
      if (here === undefined || !(thrown instanceof ArtifactError) || !thrown.worthRetrying || !(await this.#good(here, options)))
        throw thrown;
      return { held: here, stale: thrown.message };
    }
    const plan = planFetch(objects, name, options);
    options.expects?.check(plan.objects.map(({ path }) => path));
    const id = `${slugOf(name)}/${await revisionOf(plan.objects)}`;
    const claim = await this.cache.claim(id, options.signal, () => {
      options.onProgress({ kind: 'waiting' });
    });
    try {
      const here = this.cache.find(id);
      if (here !== undefined && (await this.#good(here, options))) return { held: here, stale: undefined };
      if (here !== undefined) await this.#discardDamaged(here, options.signal);
      return { held: await this.#download(source, name, id, plan, options), stale: undefined };
    } finally {
      claim.release();
    }
  }

  /** Whole, and allowed by the rules of this caller. */
  async #good(cached: Cached, options: FetchOptions): Promise<boolean> {
    const { trustRemoteCode, expects, signal } = options;
    const { dir, entry } = cached;
    if (entryProblem(dir, entry) !== undefined) return false;
    if (entry.boot !== '' && entry.boot !== bootId()) {
      // The engine reads it next: this brings it into memory.
      options.onProgress({ kind: 'verifying' });
      if ((await damageOf(cached, signal)) !== undefined) return false;
      writeEntry(dir, { ...entry, boot: bootId() });
    }
    expects?.check(entry.files.map(({ path }) => path));
    if (!trustRemoteCode)
      refuseCode(
        join(dir, 'files'),
        entry.reference,
        entry.files.map(({ path }) => path),
      );
    return true;
  }

  async #discardDamaged(cached: Cached, signal: AbortSignal): Promise<void> {
    const { id, dir } = cached;
    if ((await this.cache.remove(id, signal)) !== 'in-use') return;
    throw new ArtifactError(
      'unsafe',
      `The model in the cache is damaged, and in use: ${(await damageOf(cached, signal)) ?? dir}. Stop what uses it, and run "gateway cache rm".`,
    );
  }

  async #download(source: Source, reference: string, id: string, plan: FetchPlan, options: FetchOptions): Promise<Held> {
    const { cache } = this;
    const { clock, random } = this.#deps;
    const dir = cache.partialDir(id);
    const partial = new PartialDownload(dir, id, plan.objects);
    let open = true;
    try {
      const { sizeBytes } = plan;
      const { doneBytes } = partial;
      await makeRoom(cache, { reference, sizeBytes, doneBytes, maxBytes: this.#deps.maxBytes }, options.signal);
      const meter = new ProgressMeter(clock, sizeBytes, doneBytes, options.onProgress.bind(options));
      const onBytes = (bytes: number): void => {
        meter.add(bytes);
      };
      const fetch = new Fetch({ source, partial, objects: plan.objects, limits: this.#limits, clock, random, onBytes }, options.signal);
      const files = await fetch.run();
      if (!options.trustRemoteCode)
        refuseCode(
          join(dir, 'files'),
          reference,
          files.map(({ path }) => path),
        );
      const entry: Entry = {
        reference,
        revision: id.slice(id.indexOf('/') + 1),
        fetchedAt: new Date().toISOString(),
        sizeBytes,
        boot: bootId(),
        files: [...files],
      };
      partial.close();
      open = false;
      partial.clean();
      writeEntry(dir, entry);
      return { id, dir: cache.show(id, dir), entry };
    } catch (thrown) {
      if (open) partial.close();
      // It would fill the disk for all the others, and what is refused has no use.
      if (thrown instanceof ArtifactError && (thrown.problem === 'no-space' || thrown.problem === 'unsafe')) await cache.drop(dir);
      throw thrown;
    }
  }
}

function refuseCode(root: string, reference: string, paths: readonly string[]): void {
  const file = shippedCode(root, paths);
  if (file === undefined) return;
  throw new ArtifactError(
    'unsafe',
    `${reference} brings code of its own (auto_map in ${file}), which the engine would run. Set engine_kwargs.trust_remote_code: true if you trust it.`,
  );
}
