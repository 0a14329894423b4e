import type pino from 'pino';
import type { LoadBoard } from '../../core/board.ts';
import type { Clock } from '../../core/clock.ts';
import type { GatewayError } from '../../core/errors.ts';
import type { AdapterName, ModelName, Slot } from '../../core/ids.ts';
import type { AdapterDemand } from '../../core/messages.ts';
import type { ReplicaView } from '../../core/table.ts';
import type { LoraSupport } from '../../plugins/engine-plugin.ts';
import type { ReplicaPlan } from '../replica-plan.ts';
import type { ReplicaFact } from '../table.ts';
import { AdapterDirectories } from './directory.ts';
import { callOverHttp } from '../engine-call.ts';
import type { CallEngine } from '../engine-call.ts';
import { adapterEngine } from './engine-api.ts';
import { AdapterPool } from './pool.ts';
import type { AdapterReport } from './pool.ts';
import { AdapterCounts } from './counts.ts';
import type { AdapterTotals } from './counts.ts';

export interface AdapterDeskDeps {
  readonly clock: Clock;
  readonly log: pino.Logger;
  readonly board: LoadBoard;
  takeSlot(): Slot | undefined;
  retireSlot(slot: Slot): void;
  quiet(slot: Slot): boolean;
  changed(): void;
  /** Answers all who wait for an adapter of a model. */
  refuse(model: ModelName, adapter: AdapterName, error: GatewayError): void;
  readonly call?: CallEngine;
}

/** The adapters of one model. */
export interface AdaptersReport extends AdapterTotals {
  readonly resident: readonly AdapterReport[];
  /** Those that requests wait for. */
  readonly waiting: ReturnType<AdapterPool['waitingFor']>;
}

interface Entry {
  readonly pool: AdapterPool;
  readonly counts: AdapterCounts;
  readonly lora: LoraSupport & { kind: 'dynamic' };
  /** What the pool was made for; another needs another pool. */
  readonly made: string;
  cancelRefresh: () => void;
}

/** The adapters of all models whose engines load them while they run. */
export class AdapterDesk {
  readonly #deps: AdapterDeskDeps;
  readonly #entries = new Map<ModelName, Entry>();

  constructor(deps: AdapterDeskDeps) {
    this.#deps = deps;
  }

  /** The models there are from now on. */
  configure(plans: readonly ReplicaPlan[]): void {
    const wanted = new Map(plans.map((plan) => [plan.model.name, plan]));
    for (const [name, { made }] of this.#entries) {
      const plan = wanted.get(name);
      if (plan === undefined || JSON.stringify(plan.model.adapters) !== made) this.#close(name);
    }
    for (const plan of plans) if (!this.#entries.has(plan.model.name)) this.#open(plan);
  }

  #open({ model, engine }: ReplicaPlan): void {
    const { lora } = engine;
    const { adapters } = model;
    if (lora?.kind !== 'dynamic' || adapters === undefined) return;
    const counts = new AdapterCounts();
    const pool = new AdapterPool({
      ...this.#deps,
      log: this.#deps.log.child({ model: model.name }),
      maxPerReplica: adapters.maxPerReplica,
      source: new AdapterDirectories(adapters),
      refuse: (adapter, error) => this.#deps.refuse(model.name, adapter, error),
      metrics: counts,
    });
    const entry = { pool, counts, lora, made: JSON.stringify(adapters), cancelRefresh: (): void => undefined };
    this.#entries.set(model.name, entry);
    this.#refreshLater(entry, adapters.refreshMs);
  }

  #refreshLater(entry: Entry, everyMs: number): void {
    entry.cancelRefresh = this.#deps.clock.after(everyMs, () => {
      void entry.pool.refresh().finally(() => {
        if ([...this.#entries.values()].includes(entry)) this.#refreshLater(entry, everyMs);
      });
    });
  }

  #close(name: ModelName): void {
    const entry = this.#entries.get(name);
    entry?.cancelRefresh();
    entry?.pool.close();
    this.#entries.delete(name);
  }

  /** Replicas as requests may see them: with what they have loaded, and not before they have the adapters that are their own to have. */
  seen(model: ModelName, facts: readonly ReplicaFact[]): readonly ReplicaFact[] {
    const entry = this.#entries.get(model);
    if (entry === undefined) return facts;
    this.#setReplicas(
      entry,
      facts.flatMap(({ state, view }) => (state.kind === 'ready' && view !== undefined ? [view] : [])),
    );
    return facts.map((fact) => ({ ...fact, view: fact.view === undefined ? undefined : this.#view(entry, fact.view) }));
  }

  #setReplicas(entry: Entry, views: readonly ReplicaView[]): void {
    entry.pool.setReplicas(
      views.map((view) => ({
        index: view.index,
        run: view.id,
        slot: view.slot,
        maxInFlight: view.maxInFlight,
        engine: adapterEngine(view, entry.lora, this.#deps.call ?? callOverHttp),
      })),
    );
  }

  #view({ pool }: Entry, view: ReplicaView): ReplicaView | undefined {
    return pool.admits(view.id) ? { ...view, adapters: pool.adaptersOf(view.id) } : undefined;
  }

  demand(worker: number, { model, adapter, waiting }: AdapterDemand): void {
    this.#entries.get(model)?.pool.demand(worker, adapter, waiting);
  }

  forgetWorker(worker: number): void {
    for (const { pool } of this.#entries.values()) pool.forgetWorker(worker);
  }

  /** To be called whenever a slot may have become quiet. */
  settle(): void {
    for (const { pool } of this.#entries.values()) pool.settle();
  }

  /** Whether `settle()` is waited for. */
  get unsettled(): boolean {
    return [...this.#entries.values()].some(({ pool }) => pool.unsettled);
  }

  /** Undefined where the model's engine loads no adapters while it runs. */
  report(model: ModelName): AdaptersReport | undefined {
    const entry = this.#entries.get(model);
    return entry === undefined ? undefined : { resident: entry.pool.report(), waiting: entry.pool.waitingFor(), ...entry.counts.report() };
  }

  /** Undefined where the model's engine loads no adapters while it runs. */
  poolOf(model: ModelName): Pick<AdapterPool, 'load' | 'unload' | 'refresh' | 'waitingFor'> | undefined {
    return this.#entries.get(model)?.pool;
  }

  close(): void {
    for (const name of Array.from(this.#entries.keys())) this.#close(name);
  }
}
