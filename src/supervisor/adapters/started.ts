import type pino from 'pino';
import { GatewayError, messageOf } from '../../core/errors.ts';
import type { AdapterName } from '../../core/ids.ts';
import type { LoadedAdapter } from '../../core/table.ts';
import type { AdapterCatalog } from './catalog.ts';
import { ChosenAdapters } from './chosen.ts';
import type { ChosenAdaptersDeps } from './chosen.ts';
import type { AdapterCounts } from './counts.ts';
import type { FetchedAdapter } from './files.ts';
import type { ModelAdapters } from './model-adapters.ts';
import { Refused } from './refused.ts';
import type { AdapterReport } from './report.ts';
import type { AdapterSource } from './source.ts';
import { changeStartSet } from './start-set.ts';
import { Waits } from './waits.ts';

/** An adapter that a replica is started with. */
export interface StartAdapter {
  readonly adapter: AdapterName;
  readonly handle: string;
  readonly path: string;
  /** Its files need to be here no more. */
  release(): void;
}

/** What a replica was started with, by what engines know it by, in the order of its command line. */
export type StartedWith = ReadonlyMap<AdapterName, string>;

export interface StartedAdaptersDeps extends ChosenAdaptersDeps {
  readonly log: pino.Logger;
  readonly source: AdapterSource;
  readonly catalog: AdapterCatalog;
  readonly counts: AdapterCounts;
  /** Those that come first. */
  readonly listed: readonly AdapterName[];
  /** Adapters that an engine is started with at most. */
  readonly maxPerReplica: number;
  /** What replicas should be started with may have changed. */
  changed(): void;
  refuse(adapter: AdapterName, error: GatewayError): void;
}

interface Fetched {
  readonly adapter: AdapterName;
  readonly files: FetchedAdapter;
}

/**
 * The adapters of a model whose engine takes them at its start only. They are one set for all replicas; another set means other processes,
 * one by one and drained, as for a changed model. What is asked for beyond the set waits until the last change of it is through.
 */
export class StartedAdapters implements ModelAdapters {
  readonly #deps: StartedAdaptersDeps;
  readonly #chosen: ChosenAdapters;
  readonly #waits = new Waits();
  readonly #refused: Refused<AdapterName>;
  /** Handles that an engine did not start with, and why. */
  readonly #unusable = new Map<string, GatewayError>();
  /** Unloaded by an operator: they come back only when they are asked for. */
  readonly #putAway = new Set<AdapterName>();
  readonly #closed = new AbortController();
  readonly #first: Promise<void>;
  #begun = false;
  #replicas: readonly { readonly index: number; readonly started: StartedWith }[] = [];
  /** Whether a change for those that wait has its turn still to come: it sees all of them. */
  #changeQueued = false;
  /** Changes of the set take turns. */
  #turn: Promise<void>;

  constructor(deps: StartedAdaptersDeps) {
    this.#deps = deps;
    this.#chosen = new ChosenAdapters(deps);
    this.#refused = new Refused(deps.clock);
    this.#first = this.#begin();
    this.#turn = this.#first;
  }

  /** What a replica is to be started with now; each is to be released. @throws the signal's reason. */
  async startSet(signal: AbortSignal): Promise<readonly StartAdapter[]> {
    const left = Promise.withResolvers<never>();
    const leave = (): void => left.reject(signal.reason as Error);
    signal.addEventListener('abort', leave, { once: true });
    try {
      await Promise.race([this.#first, left.promise]);
    } finally {
      signal.removeEventListener('abort', leave);
    }
    return this.#chosen.names.flatMap((adapter) => {
      const files = this.#chosen.filesOf(adapter);
      if (files === undefined) return [];
      files.keep();
      return [{ adapter, handle: files.handle, path: files.path, release: () => files.release() }];
    });
  }

  /** Whether a replica that was started with these should be replaced. */
  outdated(started: StartedWith): boolean {
    if (!this.#begun) return false;
    const { names } = this.#chosen;
    return names.length !== started.size || names.some((adapter) => started.get(adapter) !== this.#chosen.filesOf(adapter)?.handle);
  }

  /** What requests may name on a replica. @param handleAt what its engine calls the adapter at a place */
  adaptersOf(started: StartedWith, handleAt: (index: number) => string): ReadonlyMap<AdapterName, LoadedAdapter> {
    return new Map(
      [...started.keys()].map((adapter, index) => {
        const slot = this.#chosen.slotOf(adapter);
        return [adapter, { handle: handleAt(index), ...(slot === undefined ? {} : { slot }) }];
      }),
    );
  }

  /** The replicas that serve; to be called whenever they change. */
  setReplicas(replicas: readonly { readonly index: number; readonly started: StartedWith }[]): void {
    this.#replicas = replicas;
    if (this.#waits.all().length > 0) this.#changeSoon();
  }

  /** An engine did not start because of one of its adapters: none is started with it before its files change. */
  blame(handle: string, why: string): void {
    this.#unusable.set(handle, new GatewayError('adapter_invalid', why));
    this.#deps.counts.loaded('failed', 0);
    for (const adapter of this.#chosen.names) if (this.#chosen.filesOf(adapter)?.handle === handle) this.#chosen.drop(adapter);
    this.#deps.log.warn({ handle }, `replicas are started without an adapter that the engine refuses: ${why}`);
    this.#deps.changed();
  }

  demand(worker: number, adapter: AdapterName, waiting: boolean): void {
    if (this.#waits.heard({ worker, adapter, waiting }, this.#refused, this.#deps) === undefined) return;
    this.#putAway.delete(adapter);
    this.#changeSoon();
  }

  forgetWorker(worker: number): void {
    this.#waits.forgetWorker(worker);
  }

  /** Looks whether there is room now for those that wait because all chosen ones are in use. */
  settle(): void {
    if (this.unsettled && this.#chosen.names.some((adapter) => this.#chosen.inFlight(adapter) === 0)) this.#changeSoon();
  }

  get unsettled(): boolean {
    return this.#waits.all().some(([adapter, { crowded }]) => crowded && !this.#chosen.has(adapter));
  }

  async load(adapter: AdapterName): Promise<void> {
    this.#refused.delete(adapter);
    this.#putAway.delete(adapter);
    await this.#next(async () => this.#take([{ adapter, files: await this.#fetch(adapter) }]));
  }

  unload(adapter: AdapterName): number {
    if (!this.#chosen.has(adapter)) return 0;
    this.#putAway.add(adapter);
    this.#chosen.drop(adapter);
    this.#deps.changed();
    return this.#replicas.filter(({ started }) => started.has(adapter)).length;
  }

  refresh(): Promise<void> {
    return this.#next(() => this.#look());
  }

  report(): readonly AdapterReport[] {
    return this.#replicas.flatMap(({ index, started }) =>
      [...started].map(([adapter, handle]): AdapterReport => {
        const files = this.#chosen.filesOf(adapter);
        const present = files?.handle === handle;
        return {
          adapter,
          replica: index,
          state: present ? 'loaded' : 'leaving',
          revision: present ? files.revision : '',
          inFlight: this.#chosen.inFlight(adapter),
          heat: this.#chosen.heatOf(adapter),
        };
      }),
    );
  }

  waitingFor(): ReturnType<ModelAdapters['waitingFor']> {
    return this.#waits.all().map(([adapter, { crowded }]) => ({ adapter, crowded }));
  }

  close(): void {
    this.#closed.abort(new GatewayError('shutting_down', 'the gateway is stopping'));
    for (const adapter of this.#chosen.names) this.#chosen.drop(adapter);
  }

  async #begin(): Promise<void> {
    await this.#look();
    this.#begun = true;
  }

  /** New weights, adapters that are gone, and new ones, as many as there is room for: those listed first. */
  async #look(): Promise<void> {
    await this.#deps.catalog.refresh(this.#closed.signal);
    for (const adapter of this.#chosen.names) await this.#renew(adapter);
    const room = Math.max(0, this.#deps.maxPerReplica - this.#chosen.size);
    const names = new Set([...this.#deps.listed, ...(this.#deps.catalog.names ?? [])]);
    const more = [...names].filter((name) => !this.#chosen.has(name) && !this.#putAway.has(name)).slice(0, room);
    this.#take(await this.#fetchAll(more, (adapter, error) => this.#tell(adapter, error)));
  }

  #changeSoon(): void {
    if (this.#changeQueued) return;
    this.#changeQueued = true;
    const change = this.#next(async () => {
      this.#changeQueued = false;
      const missing = this.#waits.all().flatMap(([adapter]) => (this.#chosen.has(adapter) ? [] : [adapter]));
      // One change at a time is carried through: else replicas would be replaced for each request.
      if (missing.length === 0 || this.#replicas.some(({ started }) => this.outdated(started))) return;
      const fetched = await this.#fetchAll(missing, (adapter, error) => {
        this.#tell(adapter, error);
        this.#refused.add(adapter, error);
        this.#waits.over(adapter);
        this.#deps.refuse(adapter, error);
      });
      this.#take(fetched);
    });
    change.catch((error: unknown) => this.#deps.log.error({ err: error }, 'defect in the choice of adapters'));
  }

  #next(change: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(() => (this.#closed.signal.aborted ? undefined : change()));
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #fetchAll(names: readonly AdapterName[], failed: (adapter: AdapterName, error: GatewayError) => void): Promise<readonly Fetched[]> {
    const fetched: Fetched[] = [];
    for (const adapter of names) {
      try {
        fetched.push({ adapter, files: await this.#fetch(adapter) });
      } catch (error) {
        if (!this.#closed.signal.aborted) failed(adapter, asError(error));
      }
    }
    return fetched;
  }

  async #fetch(adapter: AdapterName): Promise<FetchedAdapter> {
    const files = await this.#deps.source.fetch(adapter, this.#closed.signal);
    const unusable = this.#unusable.get(files.handle);
    if (unusable === undefined) return files;
    files.release();
    throw unusable;
  }

  /** Takes what there is, or can be made, room for into the set; the rest is told to wait. */
  #take(fetched: readonly Fetched[]): void {
    const asked = this.#closed.signal.aborted ? [] : fetched.map(({ adapter }) => adapter).filter((adapter) => !this.#chosen.has(adapter));
    const { add, drop } = changeStartSet(this.#chosen.look(), asked, this.#deps.maxPerReplica);
    for (const adapter of drop) {
      this.#deps.counts.evicted();
      this.#deps.log.info({ adapter, for: add }, 'adapter is evicted: it was used least, and others are asked for; replicas are replaced');
      this.#chosen.drop(adapter);
    }
    for (const { adapter, files } of fetched) {
      if (add.includes(adapter) && this.#chosen.add(adapter, files)) this.#deps.counts.loaded('ok', 0);
      else files.release();
    }
    for (const [adapter, wanted] of this.#waits.all()) {
      if (wanted.crowded || !asked.includes(adapter) || this.#chosen.has(adapter)) continue;
      wanted.crowded = true;
      this.#deps.counts.crowded();
    }
    // Whoever is told then looks when there is room for those that wait.
    if (add.length > 0 || this.unsettled) this.#deps.changed();
  }

  async #renew(adapter: AdapterName): Promise<void> {
    try {
      const files = await this.#fetch(adapter);
      const before = this.#chosen.filesOf(adapter);
      if (before === undefined || files.handle === before.handle || this.#closed.signal.aborted) {
        files.release();
        return;
      }
      this.#chosen.renew(adapter, files);
      this.#deps.log.info({ adapter, revision: files.revision }, 'an adapter has new weights; replicas are replaced');
      this.#deps.changed();
    } catch (error) {
      if (this.#closed.signal.aborted) return;
      this.#tell(adapter, asError(error));
      if (!(error instanceof GatewayError) || error.code !== 'adapter_not_found') return;
      this.#chosen.drop(adapter);
      this.#deps.changed();
    }
  }

  #tell(adapter: AdapterName, error: GatewayError): void {
    this.#deps.log.warn({ adapter, code: error.code }, `replicas are started without an adapter: ${error.message}`);
  }
}

function asError(thrown: unknown): GatewayError {
  return thrown instanceof GatewayError ? thrown : new GatewayError('adapter_unavailable', messageOf(thrown), { cause: thrown });
}
