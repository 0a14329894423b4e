import { homedir } from 'node:os';
import type {
  ChangeReply,
  Control,
  PlanReply,
  ReloadReport,
  RestartReply,
  ScaleReply,
  StatusReply,
  StopHow,
  StopReply,
} from '../admin/api.ts';
import { changesBetween } from '../admin/changes.ts';
import { replicasMeant } from '../admin/target.ts';
import type { Config } from '../config/config.ts';
import { refuseNewEngines } from '../config/engine-modules.ts';
import { loadConfig, type LoadedConfig } from '../config/load.ts';
import { ConfigError, type ConfigProblem, formatProblem } from '../config/problems.ts';
import { SourceTree } from '../config/source-tree.ts';
import type { Access } from '../core/access.ts';
import { GatewayError } from '../core/errors.ts';
import type { ReplicaId } from '../core/ids.ts';
import type { EnginePlugin } from '../plugins/engine-plugin.ts';
import type { ScaleReport, Scaler } from '../autoscale/scaler.ts';
import type { EngineAddress } from '../supervisor/run.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';
import type { LaunchPlan } from '../supervisor/launch-plan.ts';
import { AdapterControl } from './adapter-control.ts';
import { neverPlaced } from './offline-plan.ts';
import type { Checked } from './option-check.ts';

export interface RunningControlDeps {
  readonly engines: ReadonlyMap<string, EnginePlugin>;
  readonly env: NodeJS.ProcessEnv;
  /** Unix time. */
  wallClockSeconds(): number;
  supervisor(): Supervisor;
  /** Who may use the API from now on. */
  allow(access: Access): void;
  readonly scaler: Scaler;
  status(): Omit<StatusReply, 'apps'>;
  /**
   * What the installed engines say of the options: what was let through, or nothing where that takes long.
   * @throws ConfigError with options that one of them does not know
   */
  checkOptions(loaded: Checked): Promise<readonly ConfigProblem[]>;
  /** Undefined: the gateway is part of a program, which alone stops it. */
  readonly onStop: ((how: StopHow) => void) | undefined;
}

/** What the admin API does to a running gateway: each change becomes a new desired config for the supervisor. */
export class RunningControl implements Control {
  readonly #deps: RunningControlDeps;
  #config: Config;
  /** Settles when the reload that was asked for last is over: they take turns, so that the last one asked for holds. */
  #turn: Promise<unknown> = Promise.resolve();
  #reloads: ReloadReport;

  readonly adapters: AdapterControl;

  constructor(config: Config, deps: RunningControlDeps) {
    this.adapters = new AdapterControl(() => deps.supervisor());
    this.#config = config;
    this.#deps = deps;
    this.#reloads = { lastSuccessful: true, lastSuccessAtS: deps.wallClockSeconds() };
  }

  status(): StatusReply {
    const apps = [...this.#config.apps].map(([prefix, names]) => ({ prefix, names: [...names.keys()] }));
    return { ...this.#deps.status(), apps };
  }

  access(): Access {
    return this.#config.settings.access;
  }

  engine(id: ReplicaId): EngineAddress | undefined {
    return this.#deps.supervisor().engine(id);
  }

  redact(text: string): string {
    return this.#deps.supervisor().redact(text);
  }

  async plan(files: readonly string[] | undefined): Promise<PlanReply> {
    const { loaded, reply } = await this.#read(files ?? this.#config.files);
    return { pid: process.pid, ...reply, launch: await this.#preview(loaded.config) };
  }

  /** Engines keep being launched with the ports and the state directory that this process has. */
  async #preview(config: Config): Promise<LaunchPlan> {
    const { enginePorts, stateDir } = this.#config;
    return await this.#deps.supervisor().preview({ ...this.#scaled(config), enginePorts, stateDir }, this.#deps.env);
  }

  /** The file's own numbers of replicas hold again, whatever `scale` has set. */
  reload(): Promise<ChangeReply> {
    const reloaded = this.#turn.then(() => this.#reload());
    this.#turn = reloaded.catch(() => undefined);
    return reloaded;
  }

  reloads(): ReloadReport {
    return this.#reloads;
  }

  async #reload(): Promise<ChangeReply> {
    try {
      const reply = await this.#readAgain();
      this.#reloads = { lastSuccessful: true, lastSuccessAtS: this.#deps.wallClockSeconds() };
      return reply;
    } catch (error) {
      this.#reloads = { ...this.#reloads, lastSuccessful: false };
      throw error;
    }
  }

  async #readAgain(): Promise<ChangeReply> {
    const { loaded, reply } = await this.#read(this.#config.files);
    const { config } = loaded;
    const never = neverPlaced(loaded, await this.#preview(config));
    if (never.length > 0) throw new ConfigError(never);
    // First, so that nobody uses a new model by a key that this config takes away.
    this.#deps.allow(config.settings.access);
    this.#deps.supervisor().apply(this.#scaled(config));
    this.#deps.scaler.configure(config.models);
    // What takes effect only with a new process of the gateway stays as it is, so that the next plan says so again.
    const { models, apps, engineCommands, gpus, acceleratorMatch } = config;
    const settings = { ...this.#config.settings, access: config.settings.access };
    this.#config = { ...this.#config, settings, models, apps, engineCommands, gpus, acceleratorMatch };
    return reply;
  }

  scale(model: string, replicas: number): ScaleReply {
    const before = this.#config.models.find(({ name }) => name === model);
    if (before === undefined) throw this.#unknown(model);
    if (before.upstreams.length > 0)
      throw new GatewayError('request_invalid', `${model}: its replicas are run by others (gateway.upstreams); there is nothing to scale.`);
    const scaled = this.#deps.scaler.set(before.name, replicas);
    if (scaled !== undefined) return { model, from: scaled.from, to: replicas, autoscaled: true };
    const models = this.#config.models.map((entry) => (entry === before ? { ...entry, replicas } : entry));
    const config = { ...this.#config, models };
    this.#deps.supervisor().apply(this.#scaled(config));
    this.#config = config;
    return { model, from: before.replicas, to: replicas, autoscaled: false };
  }

  /** With the numbers of replicas that are wanted now. */
  #scaled(config: Config): Config {
    return { ...config, models: this.#deps.scaler.adjusted(config.models) };
  }

  autoscale(): readonly ScaleReport[] {
    return this.#deps.scaler.reports();
  }

  restart(target: string | undefined): RestartReply {
    const supervisor = this.#deps.supervisor();
    const meant = replicasMeant(supervisor.status(), target);
    const external = this.#config.models.filter(({ upstreams }) => upstreams.length > 0).map(({ name }) => name);
    const [first] = meant;
    if (target !== undefined && first !== undefined && external.includes(first.model))
      throw new GatewayError('request_invalid', `${first.model}: its replicas are run by others (gateway.upstreams); restart them there.`);
    return { replicas: supervisor.restart((model, index) => meant.some((one) => one.model === model && one.report.index === index)) };
  }

  stop(how: StopHow): StopReply {
    if (this.#deps.onStop === undefined)
      throw new GatewayError('request_invalid', 'this gateway is part of a program, which alone can stop it');
    this.#deps.onStop(how);
    return { pid: process.pid };
  }

  async #read(files: readonly string[]): Promise<{ readonly loaded: LoadedConfig; readonly reply: ChangeReply }> {
    const { env, engines } = this.#deps;
    const homeDir = homedir();
    const tree = new SourceTree(files, env);
    refuseNewEngines(tree, this.#config.plugins, homeDir);
    const loaded = loadConfig(tree, { env, engines, cores: navigator.hardwareConcurrency, homeDir });
    const warnings = [...loaded.warnings, ...(await this.#deps.checkOptions(loaded))];
    return { loaded, reply: { ...changesBetween(this.#config, loaded.config), warnings: warnings.map(formatProblem) } };
  }

  #unknown(model: string): GatewayError {
    const known = this.#config.models.map(({ name }) => name).join(', ');
    return new GatewayError('model_not_found', `There is no model "${model}". The models are: ${known}.`);
  }
}
