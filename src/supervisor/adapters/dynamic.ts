import type { ReplicaView } from '../../core/table.ts';
import type { LoraSupport } from '../../plugins/engine-plugin.ts';
import type { AdapterCatalog } from './catalog.ts';
import { callOverHttp } from '../engine-call.ts';
import type { CallEngine } from '../engine-call.ts';
import { adapterEngine } from './engine-api.ts';
import type { ModelAdapters } from './model-adapters.ts';
import { AdapterPool } from './pool.ts';
import type { AdapterPoolDeps } from './pool.ts';

export interface DynamicAdaptersDeps extends AdapterPoolDeps {
  readonly catalog: AdapterCatalog;
  readonly call?: CallEngine;
}

/** The adapters of a model whose engine loads them while it runs. */
export class DynamicAdapters implements ModelAdapters {
  readonly #lora: LoraSupport & { kind: 'dynamic' };
  readonly #deps: DynamicAdaptersDeps;
  readonly #pool: AdapterPool;
  readonly #closed = new AbortController();

  constructor(lora: LoraSupport & { kind: 'dynamic' }, deps: DynamicAdaptersDeps) {
    this.#lora = lora;
    this.#deps = deps;
    this.#pool = new AdapterPool(deps);
    // Told by the catalog itself where it fails.
    void deps.catalog.refresh(this.#closed.signal);
  }

  /** The replicas that are ready; to be called whenever they change. */
  setReplicas(views: readonly ReplicaView[]): void {
    this.#pool.setReplicas(
      views.map((view) => ({
        index: view.index,
        run: view.id,
        slot: view.slot,
        maxInFlight: view.maxInFlight,
        engine: adapterEngine(view, this.#lora, this.#deps.call ?? callOverHttp),
      })),
    );
  }

  /** A replica as requests may see it; undefined before it has the adapters of its range. */
  seen(view: ReplicaView): ReplicaView | undefined {
    return this.#pool.admits(view.id) ? { ...view, adapters: this.#pool.adaptersOf(view.id) } : undefined;
  }

  demand(...told: Parameters<ModelAdapters['demand']>): void {
    this.#pool.demand(...told);
  }

  forgetWorker(worker: number): void {
    this.#pool.forgetWorker(worker);
  }

  settle(): void {
    this.#pool.settle();
  }

  get unsettled(): boolean {
    return this.#pool.unsettled;
  }

  load(...[adapter]: Parameters<ModelAdapters['load']>): Promise<void> {
    return this.#pool.load(adapter);
  }

  unload(...[adapter]: Parameters<ModelAdapters['unload']>): number {
    return this.#pool.unload(adapter);
  }

  async refresh(): Promise<void> {
    await Promise.all([this.#deps.catalog.refresh(this.#closed.signal), this.#pool.refresh()]);
  }

  report(): ReturnType<ModelAdapters['report']> {
    return this.#pool.report();
  }

  waitingFor(): ReturnType<ModelAdapters['waitingFor']> {
    return this.#pool.waitingFor();
  }

  close(): void {
    this.#closed.abort();
    this.#pool.close();
  }
}
