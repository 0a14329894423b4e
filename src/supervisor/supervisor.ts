import type { ModelName, ReplicaId } from '../core/ids.ts';
import type { AdapterDemand } from '../core/messages.ts';
import type { Config } from '../config/config.ts';
import type { AdapterDesk } from './adapters/desk.ts';
import type { AdaptersReport } from './adapters/report.ts';
import { findsGpus, loadsOf } from './capacity.ts';
import type { GpuReport } from './gpus/ledger.ts';
import { planLaunch } from './launch-plan.ts';
import type { LaunchInput, LaunchPlan } from './launch-plan.ts';
import { findExecutables } from './launch-survey.ts';
import type { ModelLoad } from './model-load.ts';
import { modelFacts } from './model-facts.ts';
import { modelReports } from './model-reports.ts';
import { Pass } from './pass.ts';
import { plan } from './plan.ts';
import type { Step } from './plan.ts';
import type { Recovery } from './providers/provider.ts';
import { redactor } from './redact.ts';
import { desiredOf, replicaPlan } from './replica-plan.ts';
import type { ReplicaPlan } from './replica-plan.ts';
import type { Restarted } from './replica-set.ts';
import type { ModelReport } from './report.ts';
import type { EngineAddress } from './run.ts';
import { stoppedOrHurried } from './shutdown.ts';
import type { Desired, SupervisorDeps } from './supervisor-deps.ts';
import { partsOf } from './supervisor-parts.ts';
import type { SupervisorParts } from './supervisor-parts.ts';
import { takeover } from './takeover.ts';

export type { Restarted } from './replica-set.ts';
export type { ModelReport, ReplicaReport } from './report.ts';
export type { SupervisorDeps } from './supervisor-deps.ts';

/**
 * The control plane's loop. After every change - a config, a replica's state, a table applied - one pass of `#reconcile()` at the end of
 * the same turn plans, carries the steps out and publishes what has become of the routing table.
 */
export class Supervisor {
  readonly #deps: SupervisorDeps;
  readonly #parts: SupervisorParts;
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
  /** Settles when nothing is left of what a former gateway ran and this one does not want. */
  #reaped: Promise<void> = Promise.resolve();
  #stopping: { readonly deadline: number; readonly done: () => void } | undefined;

  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
    this.#parts = partsOf(
      deps,
      () => this.#changed(),
      () => this.#reaped,
    );
  }

  /**
   * Publishes the first table, in which the models of `config` stand with replicas that are still to be started: requests for them wait.
   * Nothing is launched or scaled before `recover()` or `apply()`, one of which comes next.
   * @throws GatewayError as `apply()`
   */
  announce(config: Desired): void {
    this.#parts.models.replace(this.#plansOf(config));
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
    this.#parts.models.replace(plans);
    for (const plan of plans)
      for (const replica of this.#parts.replicas.of(plan.model.name))
        if (replica.plan.fingerprint === plan.fingerprint) replica.update(plan);
    this.#parts.adapters.configure(plans);
    for (const { worker, demand } of this.#early.splice(0)) this.#parts.adapters.demand(worker, demand);
    this.#apps = config.apps;
    this.#standing = true;
    this.#parts.gpus.configure({ gpus: config.gpus, acceleratorMatch: config.acceleratorMatch ?? 'warn' });
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
    const recovered = await recovery.recover();
    this.#recovering = false;
    const plans = this.#plansOf(config);
    const { adopt, reap } = takeover(plans, recovered);
    this.#apply(config, plans);
    this.#reaped = reap(this.#parts.gpus, recovery);
    for (const lease of adopt) this.#parts.steps.adopt(lease, recovery);
    if (this.#later !== undefined) this.apply(this.#later);
  }

  /**
   * What `config` would come to if it were applied now. Nothing changes.
   * @param env the gateway's own environment.
   * @throws GatewayError `config_invalid` as `apply()`.
   */
  async preview(config: Config, env: LaunchInput['env']): Promise<LaunchPlan> {
    const plans = this.#plansOf(config);
    const [executables, gpus] = await Promise.all([findExecutables(plans, env), this.#parts.gpus.survey(config)]);
    const standing = this.#parts.replicas.observed(false).map(({ model, index, fingerprint, standing: now, renew }) => ({
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
    const restarted = this.#parts.replicas.restart(meant);
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
    if (this.#standing && this.#parts.models.scale(name, replicas, { yields, asleep })) this.#changed();
  }

  /** What the autoscaler decides by, of the models that it scales. */
  loads(): readonly ModelLoad[] {
    return this.#standing ? loadsOf(this.#parts, this.#deps.board) : [];
  }

  /** GPUs that come free are kept for this model until a replica of it has what it waits for. */
  keepGpusFor(model: ModelName | undefined): void {
    this.#parts.gpus.keepFor(model);
  }

  /** Whether another replica of `model` would find its GPUs if others drained so many of theirs. */
  findsGpus(model: ModelName, drained: ReadonlyMap<ModelName, number>): boolean {
    return findsGpus(this.#parts, model, drained);
  }

  /** The LoRA adapters of all models. */
  get adapters(): Pick<AdapterDesk, 'adaptersOf' | 'found'> {
    return this.#parts.adapters;
  }

  /** A worker says whether requests wait there for an adapter. */
  demand(worker: number, demand: AdapterDemand): void {
    if (this.#standing) this.#parts.adapters.demand(worker, demand);
    else this.#early.push({ worker, demand });
  }

  /** A worker has died, with all who waited in it. */
  forgetWorker(worker: number): void {
    this.#parts.adapters.forgetWorker(worker);
  }

  /** To be called whenever `appliedVersion()` may have grown. */
  applied(): void {
    this.#parts.drains.settle();
  }

  status(): readonly ModelReport[] {
    const adapters = (name: ModelName): AdaptersReport | undefined => this.#parts.adapters.report(name);
    return modelReports(this.#parts.models, this.#parts.replicas.byModel(), this.#deps.board, adapters, this.#deps.clock.now());
  }

  /** The GPUs of this machine, once a replica has asked for one. */
  gpus(): readonly GpuReport[] {
    return this.#parts.gpus.status();
  }

  /** How an engine is asked past routing, for who looks into it; undefined for a run that is over. */
  engine(id: ReplicaId): EngineAddress | undefined {
    return this.#parts.replicas.all().flatMap((replica) => replica.address(id) ?? [])[0];
  }

  /** Takes out of a text that an engine wrote what must not be shown: the secrets of all models, and whatever looks like one. */
  redact(text: string): string {
    this.#redactor ??= redactor(this.#parts.replicas.all().flatMap((replica) => replica.secrets()));
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
    for (const replica of this.#parts.replicas.all()) replica.send(keepEngines ? { kind: 'leave' } : { kind: 'drain', deadline });
    this.#changed();
    await stoppedOrHurried(this.#deps.clock, Promise.all([stopped, this.#reaped]), hurry, () => {
      for (const replica of this.#parts.replicas.all()) replica.send({ kind: 'stop', now: true });
    });
    this.#parts.drains.close();
    this.#parts.gpus.close();
    this.#parts.adapters.close();
    const left = this.#parts.replicas
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
    for (const step of this.#plan()) this.#parts.steps.take(step, this.#stopping?.deadline);
    this.#parts.models.settleYields();
    this.#publish();
    this.#parts.drains.settle();
    for (const listener of this.#listeners) listener();
    if (this.#parts.replicas.size === 0) this.#stopping?.done();
  }

  #publish(): void {
    this.#parts.tables.publish(modelFacts(this.#parts, this.#standing), this.#apps, this.#deps.clock.now());
  }

  #forgetStopped(): void {
    for (const { model, replica } of this.#parts.replicas.takeStopped()) {
      const entry = this.#parts.models.get(model);
      if (entry !== undefined) entry.formerRestarts += replica.report().restarts;
    }
  }

  #plan(): readonly Step[] {
    if (!this.#standing) return [];
    const desired = [...this.#parts.models.values()].map(({ plan, asleep }) => ({
      ...desiredOf(plan),
      asleep,
      ...(this.#stopping === undefined ? {} : { replicas: 0 }),
    }));
    return plan(desired, this.#parts.replicas.observed(this.#parts.gpus.unsettled));
  }
}
