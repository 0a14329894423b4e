import type { ModelName, ReplicaId } from '../core/ids.ts';
import type { AdapterDemand } from '../core/messages.ts';
import type { Config } from '../config/config.ts';
import { AdapterDesk } from './adapters/desk.ts';
import type { AdaptersReport } from './adapters/report.ts';
import { localAdapters } from './adapters/sources.ts';
import { chooseAdoptions } from './adoption.ts';
import { noGpus } from './gpus/devices.ts';
import { GpuLedger } from './gpus/ledger.ts';
import type { GpuReport } from './gpus/ledger.ts';
import { planLaunch } from './launch-plan.ts';
import type { LaunchInput, LaunchPlan } from './launch-plan.ts';
import { findExecutables } from './launch-survey.ts';
import { loadOf } from './model-load.ts';
import type { ModelLoad } from './model-load.ts';
import { modelReports } from './model-reports.ts';
import { ModelSet } from './model-set.ts';
import { Pass } from './pass.ts';
import { leastWorth, plan, standingOf } from './plan.ts';
import type { Step } from './plan.ts';
import type { Lease } from './providers/lease.ts';
import type { LogWatch, Recovery } from './providers/provider.ts';
import { redactor } from './redact.ts';
import type { Replica } from './replica.ts';
import { replicaName } from './replica-id.ts';
import { ReplicaMaker } from './replica-maker.ts';
import type { ReplicaState } from './replica-state.ts';
import { ReplicaSet } from './replica-set.ts';
import type { Restarted } from './replica-set.ts';
import { gpuRequest, desiredOf, replicaPlan } from './replica-plan.ts';
import type { ReplicaPlan } from './replica-plan.ts';
import type { ModelReport } from './report.ts';
import { adoptedAdapters } from './run.ts';
import type { EngineAddress } from './run.ts';
import { stoppedOrHurried } from './shutdown.ts';
import { Slots } from './slots.ts';
import { StartHistory } from './start-history.ts';
import { StartQueue } from './start-queue.ts';
import type { Desired, SupervisorDeps } from './supervisor-deps.ts';
import { TablePublisher } from './table-publisher.ts';
import { toBeStarted } from './table.ts';
import type { ModelFact, ReplicaFact } from './table.ts';

export type { Restarted } from './replica-set.ts';
export type { ModelReport, ReplicaReport } from './report.ts';
export type { SupervisorDeps } from './supervisor-deps.ts';

/** Engines that may start at once, and how long a slow start counts among them. */
const startLimits = { parallel: 8, longestMs: 60_000 } as const;
/** How often the second fact of a drain (nothing in flight) is looked for. */
const drainPollMs = 50;
/** Whether `drained` is waited for. */
const awaitsQuiet = (state: ReplicaState): boolean =>
  state.kind === 'draining' || (state.kind === 'falling-asleep' && state.deadline === undefined);

/**
 * The control plane's loop. After every change - a config, a replica's state, a table applied - one pass of `#reconcile()` at the end of
 * the same turn plans, carries the steps out and publishes what has become of the routing table.
 */
export class Supervisor {
  readonly #deps: SupervisorDeps;
  readonly #slots: Slots;
  readonly #starts: StartQueue;
  readonly #gpus: GpuLedger;
  readonly #adapters: AdapterDesk;
  readonly #maker: ReplicaMaker;
  readonly #models: ModelSet;
  readonly #replicas = new ReplicaSet();
  readonly #tables: TablePublisher;
  readonly #listeners = new Set<() => void>();
  #apps: Config['apps'] = new Map();
  readonly #pass = new Pass(() => this.#reconcile());
  /** Whether a config is the desired state; one that was only announced is not yet. */
  #standing = false;
  #recovering = false;
  /** What was to be applied while a former gateway's engines were looked for. */
  #later: Desired | undefined;
  /** What came before `#standing`. */
  readonly #early: { readonly worker: number; readonly demand: AdapterDemand }[] = [];
  /** Made anew once a replica has changed: its next run has another key. */
  #redactor: ((text: string) => string) | undefined;
  #cancelPoll: (() => void) | undefined;
  /** Settles when nothing is left of what a former gateway ran and this one does not want. */
  #reaped: Promise<void> = Promise.resolve();
  #stopping: { readonly deadline: number; readonly done: () => void } | undefined;

  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
    this.#slots = new Slots(deps.board.slots);
    this.#models = new ModelSet(this.#slots, () => deps.wallClockSeconds());
    this.#tables = new TablePublisher(deps);
    this.#starts = new StartQueue(deps.clock, this.#slots, startLimits);
    this.#gpus = deps.gpus ?? new GpuLedger({ clock: deps.clock, log: deps.log, probe: noGpus, env: {} });
    this.#gpus.listen(() => this.#changed());
    this.#adapters = new AdapterDesk({
      ...deps,
      sourceOf: deps.adapterSource ?? localAdapters,
      refuse: (model, adapter, error) => deps.refuse?.(model, adapter, error),
      show: (model, names) => deps.showAdapters?.(model, names),
      takeSlot: () => this.#slots.take(),
      retireSlot: (slot) => {
        this.#slots.retire(slot);
        this.#changed();
      },
      quiet: (slot) => this.#tables.quiet(slot),
      changed: () => this.#changed(),
    });
    this.#maker = new ReplicaMaker({
      supervisor: deps,
      gpus: this.#gpus,
      starts: this.#starts,
      slots: this.#slots,
      history: deps.history ?? StartHistory.inMemory(deps.log),
      adapters: this.#adapters,
      reaped: () => this.#reaped,
      changed: () => this.#changed(),
    });
  }

  /**
   * Publishes the first table, in which the models of `config` stand with replicas that are still to be started: requests for them wait.
   * Nothing is launched or scaled before `recover()` or `apply()`, one of which comes next.
   * @throws GatewayError as `apply()`
   */
  announce(config: Desired): void {
    this.#models.replace(this.#plansOf(config));
    this.#apps = config.apps;
    this.#publish();
  }

  /**
   * Makes `config` the desired state. Models whose replicas would be the same processes keep them.
   * @throws GatewayError `config_invalid` when an engine is unknown or refuses its options, or the load board has no slot for a model;
   * then nothing has changed.
   */
  apply(config: Desired): void {
    const plans = this.#plansOf(config);
    if (this.#recovering) this.#later = config;
    else this.#apply(config, plans);
  }

  #plansOf({ models, engineCommands }: Pick<Desired, 'models' | 'engineCommands'>): readonly ReplicaPlan[] {
    return models.map((model) => replicaPlan(model, engineCommands, this.#deps.engines));
  }

  #apply(config: Desired, plans: readonly ReplicaPlan[]): void {
    this.#models.replace(plans);
    for (const plan of plans)
      for (const replica of this.#replicas.of(plan.model.name)) if (replica.plan.fingerprint === plan.fingerprint) replica.update(plan);
    this.#adapters.configure(plans);
    for (const { worker, demand } of this.#early.splice(0)) this.#adapters.demand(worker, demand);
    this.#apps = config.apps;
    this.#standing = true;
    this.#gpus.configure({ gpus: config.gpus, acceleratorMatch: config.acceleratorMatch ?? 'warn' });
    this.#changed();
  }

  /**
   * As `apply()`, for the start: engines that a former gateway left running and that `config` would start just so are taken over, with
   * their process; all others are ended, and nothing is launched before they are gone. To be called once, before any `apply()`; one that
   * comes meanwhile takes effect after it.
   * @throws GatewayError as `apply()`, and `state_unusable`.
   */
  async recover(config: Desired, recovery: Recovery): Promise<void> {
    this.#recovering = true;
    const { adoptable, remains } = await recovery.recover();
    this.#recovering = false;
    const plans = this.#plansOf(config);
    const { adopt, reap } = chooseAdoptions(plans.map(desiredOf), adoptable);
    this.#apply(config, plans);
    const unwanted = [...remains, ...reap.map(({ id, process }) => ({ id, pgid: process?.pid }))];
    const held = reap.map(({ id, gpus }) => ({ id, grant: this.#gpus.keep(id, gpus, 1) }));
    const giveBack = (id: string): void => held.find((hold) => hold.id === id)?.grant.release();
    this.#reaped = Promise.all(unwanted.map((left) => recovery.reap(left).then(() => giveBack(left.id)))).then(() => undefined);
    for (const lease of adopt) this.#adopt(lease, recovery);
    if (this.#later !== undefined) this.apply(this.#later);
  }

  /**
   * What `config` would come to if it were applied now. Nothing changes.
   * @param env the gateway's own environment.
   * @throws GatewayError `config_invalid` as `apply()`.
   */
  async preview(config: Config, env: LaunchInput['env']): Promise<LaunchPlan> {
    const plans = this.#plansOf(config);
    const [executables, gpus] = await Promise.all([findExecutables(plans, env), this.#gpus.survey(config)]);
    const standing = this.#replicas.observed(false, this.#outdated).map(({ model, index, fingerprint, standing: now, renew }) => ({
      model,
      index,
      fingerprint,
      leaving: renew === true || now === 'leaving',
    }));
    return planLaunch({ config, plans, executables, env, gpus, standing });
  }

  /**
   * Gives replicas a new process each: one that serves or starts is replaced as one of a changed model is, one at a time and after its
   * requests; one that failed is tried again now, with a clean record. Those that are leaving, or run by others, are left alone.
   * @param meant which of them, by model and index.
   */
  restart(meant: (model: ModelName, index: number) => boolean): readonly Restarted[] {
    const restarted = this.#replicas.restart(meant);
    this.#changed();
    return restarted;
  }

  /**
   * Sets the number of replicas of a model, until the next `apply()`; nothing for a model that it does not have.
   * @param yields what it loses by that gives its GPUs to another model, even if this one wants it back meanwhile.
   * @param asleep those that it keeps, and whose engines can, sleep until the next call.
   */
  scale(
    name: ModelName,
    replicas: number,
    { yields = false, asleep = false }: { readonly yields?: boolean; readonly asleep?: boolean } = {},
  ): void {
    if (this.#standing && this.#models.scale(name, replicas, { yields, asleep })) this.#changed();
  }

  /** What the autoscaler decides by, of the models that it scales. */
  loads(): readonly ModelLoad[] {
    if (!this.#standing) return [];
    const scaled = [...this.#models.values()].filter(({ plan }) => plan.model.autoscaling !== undefined);
    if (scaled.length === 0) return [];
    const { board } = this.#deps;
    const byModel = this.#replicas.byModel();
    return scaled.map(({ plan, waiting }) => loadOf(plan, board.read(waiting), byModel.get(plan.model.name) ?? [], board));
  }

  /** GPUs that come free are kept for this model until a replica of it has what it waits for. */
  keepGpusFor(model: ModelName | undefined): void {
    this.#gpus.keepFor(model);
  }

  /** Whether another replica of `model` would find its GPUs if others drained so many of theirs. */
  findsGpus(model: ModelName, drained: ReadonlyMap<ModelName, number>): boolean {
    const taker = this.#models.get(model);
    if (taker === undefined) return false;
    const observed = Map.groupBy(this.#replicas.observed(false, this.#outdated), (replica) => replica.model);
    const going = [...drained].flatMap(([name, count]) => {
      const staying = (observed.get(name) ?? []).filter(({ standing }) => standing !== 'leaving');
      return leastWorth(staying, count).map(({ index }) => replicaName(name, index));
    });
    return this.#gpus.fits(gpuRequest(0, taker.plan), new Set(going));
  }

  /** The LoRA adapters of all models. */
  get adapters(): Pick<AdapterDesk, 'adaptersOf' | 'found'> {
    return this.#adapters;
  }

  /** A worker says whether requests wait there for an adapter. */
  demand(worker: number, demand: AdapterDemand): void {
    if (this.#standing) this.#adapters.demand(worker, demand);
    else this.#early.push({ worker, demand });
  }

  /** A worker has died, with all who waited in it. */
  forgetWorker(worker: number): void {
    this.#adapters.forgetWorker(worker);
  }

  /** To be called whenever `appliedVersion()` may have grown. */
  applied(): void {
    this.#settleDrains();
  }

  status(): readonly ModelReport[] {
    const adapters = (name: ModelName): AdaptersReport | undefined => this.#adapters.report(name);
    return modelReports(this.#models, this.#replicas.byModel(), this.#deps.board, adapters, this.#deps.clock.now());
  }

  /** The GPUs of this machine, once a replica has asked for one. */
  gpus(): readonly GpuReport[] {
    return this.#gpus.status();
  }

  /** How an engine is asked past routing, for who looks into it; undefined for a run that is over. */
  engine(id: ReplicaId): EngineAddress | undefined {
    return this.#replicas.all().flatMap((replica) => replica.address(id) ?? [])[0];
  }

  /** Takes out of a text that an engine wrote what must not be shown: the secrets of all models, and whatever looks like one. */
  redact(text: string): string {
    this.#redactor ??= redactor(this.#replicas.all().flatMap((replica) => replica.secrets()));
    return this.#redactor(text);
  }

  /** Calls `listener` after anything in `status()` but the counters changed; returns how to end that. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Drains every replica, for at most `drainMs`, then ends its processes; resolves when none is left. Once `hurry` is aborted it
   * kills instead, and waits at most 5 s more. The models stay in the table, without replicas. To be called once.
   * With `keepEngines` the engines that serve or load are let go instead, running, for the next gateway to take over; nothing waits for
   * their requests, which must have ended before.
   */
  async stop(drainMs: number, hurry: AbortSignal, { keepEngines = false }: { readonly keepEngines?: boolean } = {}): Promise<void> {
    const deadline = this.#deps.clock.now() + drainMs;
    const stopped = new Promise<void>((done) => {
      this.#stopping = { deadline, done };
    });
    // Those that drain already may have been given longer.
    for (const replica of this.#replicas.all()) replica.send(keepEngines ? { kind: 'leave' } : { kind: 'drain', deadline });
    this.#changed();
    await stoppedOrHurried(this.#deps.clock, Promise.all([stopped, this.#reaped]), hurry, () => {
      for (const replica of this.#replicas.all()) replica.send({ kind: 'stop', now: true });
    });
    this.#cancelPoll?.();
    this.#gpus.close();
    this.#adapters.close();
    const left = this.#replicas
      .all()
      .map((replica) => replica.report().pid)
      .filter((pid) => pid !== undefined);
    if (left.length > 0) this.#deps.log.error({ pids: left }, 'engine processes did not end after SIGKILL');
  }

  #changed(): void {
    this.#pass.ask();
  }

  #reconcile(): void {
    this.#redactor = undefined;
    this.#forgetStopped();
    for (const step of this.#plan()) this.#take(step);
    this.#models.settleYields();
    this.#publish();
    this.#settleDrains();
    for (const listener of this.#listeners) listener();
    if (this.#replicas.size === 0) this.#stopping?.done();
  }

  #publish(): void {
    this.#tables.publish(this.#facts(), this.#apps, this.#deps.clock.now());
  }

  #forgetStopped(): void {
    for (const { model, replica } of this.#replicas.takeStopped()) {
      const entry = this.#models.get(model);
      if (entry !== undefined) entry.formerRestarts += replica.report().restarts;
    }
  }

  #plan(): readonly Step[] {
    if (!this.#standing) return [];
    const desired = [...this.#models.values()].map(({ plan, asleep }) => ({
      ...desiredOf(plan),
      asleep,
      ...(this.#stopping === undefined ? {} : { replicas: 0 }),
    }));
    return plan(desired, this.#replicas.observed(this.#gpus.unsettled, this.#outdated));
  }

  #take(step: Step): void {
    switch (step.kind) {
      case 'add':
        this.#add(step.model, step.index);
        return;
      case 'take-back':
      case 'sleep':
      case 'wake':
        this.#replicas.get(step.key)?.send({ kind: step.kind });
        return;
      case 'drain': {
        const replica = this.#replicas.get(step.key);
        if (replica === undefined) return;
        if (this.#models.get(replica.plan.model.name)?.yields === true) this.#replicas.keepLeaving(step.key);
        const deadline = this.#stopping?.deadline ?? this.#deps.clock.now() + replica.plan.model.drainTimeoutMs;
        replica.send({ kind: 'drain', deadline });
      }
    }
  }

  readonly #outdated = (model: ModelName, replica: Replica): boolean => this.#adapters.outdated(model, replica.started);

  #add(name: ModelName, index: number): void {
    const model = this.#models.get(name);
    if (model === undefined) throw new Error(`planned a replica of ${name}, which is not configured`);
    const upstream = this.#unusedUpstream(model.plan);
    this.#begin(this.#maker.make(index, upstream === undefined ? model.plan : { ...model.plan, upstream }));
  }

  #adopt(lease: Lease, recovery: Recovery): void {
    const model = this.#models.get(lease.model);
    if (model === undefined) throw new Error(`chose an engine of ${lease.model} to adopt, which is not configured`);
    const holder = replicaName(lease.model, lease.index);
    const gpus = this.#gpus.keep(holder, lease.gpus, model.plan.engine.needs.memoryShare);
    const former = { id: lease.id, adapters: adoptedAdapters(lease), adopt: (watch: LogWatch) => recovery.adopt(lease, watch) };
    this.#begin(this.#maker.make(lease.index, model.plan, { former, gpus }));
  }

  /** One that no replica of the present config leads to; undefined where the model's replicas are our own. */
  #unusedUpstream({ model, fingerprint }: ReplicaPlan): ReplicaPlan['upstream'] {
    const current = this.#replicas
      .of(model.name)
      .filter((replica) => replica.plan.fingerprint === fingerprint && standingOf(replica.state) !== 'leaving');
    const used = new Set(current.map((replica) => replica.plan.upstream?.url));
    return model.upstreams.find(({ url }) => !used.has(url)) ?? model.upstreams[0];
  }

  #begin(replica: Replica): void {
    this.#replicas.add(replica.plan.model.name, replica);
    replica.start();
    this.#changed();
  }

  #facts(): ModelFact[] {
    const byModel = this.#replicas.byModel();
    return [...this.#models.entries()].map(([name, { plan, waiting, created }]) => ({
      config: plan.model,
      waiting,
      created,
      replicas: this.#standing
        ? this.#adapters.seen(
            name,
            (byModel.get(name) ?? []).map((replica) => replica.fact()),
          )
        : announced(plan),
    }));
  }

  #settleDrains(): void {
    this.#adapters.settle();
    let waiting = this.#adapters.unsettled;
    for (const replica of this.#replicas.all()) {
      if (!awaitsQuiet(replica.state) || replica.slot === undefined) continue;
      if (this.#tables.quiet(replica.slot)) replica.send({ kind: 'drained' });
      else waiting = true;
    }
    if (this.#slots.reclaim((slot) => this.#tables.quiet(slot))) this.#starts.wake();
    this.#cancelPoll?.();
    this.#cancelPoll = waiting || this.#slots.retiring > 0 ? this.#deps.clock.after(drainPollMs, () => this.#settleDrains()) : undefined;
  }
}

/** The replicas of a model of which none has been started. */
function announced(plan: ReplicaPlan): readonly ReplicaFact[] {
  return desiredOf(plan).replicas > 0 ? [toBeStarted] : [];
}
