import type pino from 'pino';
import type { LoadBoard } from '../../core/board.ts';
import type { Clock } from '../../core/clock.ts';
import type { GatewayError } from '../../core/errors.ts';
import type { AdapterName, ModelName, Slot } from '../../core/ids.ts';
import type { AdapterDemand } from '../../core/messages.ts';
import type { ReplicaPlan } from '../replica-plan.ts';
import type { ReplicaFact } from '../table.ts';
import type { CallEngine } from '../engine-call.ts';
import { AdapterCatalog } from './catalog.ts';
import { AdapterCounts } from './counts.ts';
import { DynamicAdapters } from './dynamic.ts';
import type { ModelAdapters } from './model-adapters.ts';
import type { AdaptersReport } from './report.ts';
import type { AdapterSource } from './source.ts';
import { StartedAdapters } from './started.ts';
import type { StartAdapter, StartedWith } from './started.ts';

export interface AdapterDeskDeps {
  readonly clock: Clock;
  readonly log: pino.Logger;
  readonly board: LoadBoard;
  takeSlot(): Slot | undefined;
  retireSlot(slot: Slot): void;
  quiet(slot: Slot): boolean;
  changed(): void;
  /** Where the adapters of a model come from. */
  sourceOf(plan: ReplicaPlan): AdapterSource;
  /** Answers all who wait for an adapter of a model. */
  refuse(model: ModelName, adapter: AdapterName, error: GatewayError): void;
  /** Tells clients which adapters of a model there are, loaded or not. */
  show(model: ModelName, names: readonly AdapterName[]): void;
  readonly call?: CallEngine;
}

interface Entry {
  readonly owner: DynamicAdapters | StartedAdapters;
  readonly counts: AdapterCounts;
  readonly catalog: AdapterCatalog;
  readonly maxPerReplica: number;
  /** What an engine that takes adapters at its start calls the one at a place. */
  readonly handleAt: (index: number) => string;
  /** What the owner was made for; another needs another owner. */
  readonly made: string;
  cancelRefresh: () => void;
}

/** What of a model an owner of its adapters is made for. */
const madeFor = ({ model, engine }: ReplicaPlan): string => JSON.stringify([model.adapters, model.env, engine.lora]);

/** The adapters of all models. */
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
      if (plan === undefined || madeFor(plan) !== made) this.#close(name);
    }
    for (const plan of plans) if (!this.#entries.has(plan.model.name)) this.#open(plan);
  }

  #open(plan: ReplicaPlan): void {
    const { adapters, name } = plan.model;
    const { lora } = plan.engine;
    if (lora === undefined || adapters === undefined) return;
    const log = this.#deps.log.child({ model: name });
    const source = this.#deps.sourceOf(plan);
    const counts = new AdapterCounts();
    const catalog = new AdapterCatalog({ log, source, show: (names) => this.#deps.show(name, names) });
    const { maxPerReplica } = adapters;
    const deps = {
      ...this.#deps,
      log,
      source,
      catalog,
      counts,
      metrics: counts,
      maxPerReplica,
      listed: adapters.listed.map((entry) => entry.name),
      refuse: (adapter: AdapterName, error: GatewayError) => this.#deps.refuse(name, adapter, error),
    };
    const owner = lora.kind === 'dynamic' ? new DynamicAdapters(lora, deps) : new StartedAdapters(deps);
    const handleAt = lora.kind === 'at-start' ? (index: number) => lora.handle(index) : String;
    const entry: Entry = { owner, counts, catalog, maxPerReplica, handleAt, made: madeFor(plan), cancelRefresh: () => undefined };
    this.#entries.set(name, entry);
    this.#refreshLater(entry, adapters.refreshMs);
  }

  #refreshLater(entry: Entry, everyMs: number): void {
    entry.cancelRefresh = this.#deps.clock.after(everyMs, () => {
      void entry.owner.refresh().finally(() => {
        if ([...this.#entries.values()].includes(entry)) this.#refreshLater(entry, everyMs);
      });
    });
  }

  #close(name: ModelName): void {
    const entry = this.#entries.get(name);
    entry?.cancelRefresh();
    entry?.owner.close();
    this.#entries.delete(name);
    if (entry?.catalog.names !== undefined) this.#deps.show(name, []);
  }

  /** Replicas as requests may see them: with what they have loaded, and not before they have the adapters that are their own to have. */
  seen(model: ModelName, facts: readonly ReplicaFact[]): readonly ReplicaFact[] {
    const entry = this.#entries.get(model);
    if (entry === undefined) return facts;
    const { owner } = entry;
    const ready = facts.flatMap(({ state, view, started }) => (state.kind === 'ready' && view !== undefined ? [{ view, started }] : []));
    if (owner instanceof StartedAdapters) {
      owner.setReplicas(ready.map(({ view, started = new Map() }) => ({ index: view.index, started })));
      return facts.map((fact) =>
        fact.view === undefined
          ? fact
          : { ...fact, view: { ...fact.view, adapters: owner.adaptersOf(fact.started ?? new Map(), entry.handleAt) } },
      );
    }
    owner.setReplicas(ready.map(({ view }) => view));
    return facts.map((fact) => ({ ...fact, view: fact.view === undefined ? undefined : owner.seen(fact.view) }));
  }

  /** What a replica of a model is to be started with; each is to be released. @throws the signal's reason. */
  async startSet(model: ModelName, signal: AbortSignal): Promise<readonly StartAdapter[]> {
    const owner = this.#entries.get(model)?.owner;
    return owner instanceof StartedAdapters ? owner.startSet(signal) : [];
  }

  /** Whether a replica that was started with these should be replaced by one with others. */
  outdated(model: ModelName, started: StartedWith | undefined): boolean {
    const owner = this.#entries.get(model)?.owner;
    return started !== undefined && owner instanceof StartedAdapters && owner.outdated(started);
  }

  /** An engine did not start because of an adapter. */
  blame(model: ModelName, handle: string, why: string): void {
    const owner = this.#entries.get(model)?.owner;
    if (owner instanceof StartedAdapters) owner.blame(handle, why);
  }

  demand(worker: number, { model, adapter, waiting }: AdapterDemand): void {
    this.#entries.get(model)?.owner.demand(worker, adapter, waiting);
  }

  forgetWorker(worker: number): void {
    for (const { owner } of this.#entries.values()) owner.forgetWorker(worker);
  }

  /** To be called whenever a slot may have become quiet. */
  settle(): void {
    for (const { owner } of this.#entries.values()) owner.settle();
  }

  /** Whether `settle()` is waited for. */
  get unsettled(): boolean {
    return [...this.#entries.values()].some(({ owner }) => owner.unsettled);
  }

  /** Undefined where the model has none. */
  report(model: ModelName): AdaptersReport | undefined {
    const entry = this.#entries.get(model);
    if (entry === undefined) return undefined;
    const { owner, counts, catalog, maxPerReplica } = entry;
    return { resident: owner.report(), waiting: owner.waitingFor(), maxPerReplica, found: catalog.names?.length, ...counts.report() };
  }

  /** Undefined where the model has none. */
  adaptersOf(model: ModelName): Pick<ModelAdapters, 'load' | 'unload' | 'refresh'> | undefined {
    return this.#entries.get(model)?.owner;
  }

  /** Names of all adapters of a model that were found, sorted; none where it has none, and before the first look. */
  found(model: ModelName): readonly AdapterName[] {
    return this.#entries.get(model)?.catalog.names ?? [];
  }

  close(): void {
    for (const name of Array.from(this.#entries.keys())) this.#close(name);
  }
}
