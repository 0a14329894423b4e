import { mkdirSync } from 'node:fs';
import type { Logger } from 'pino';
import type { Control, StopHow } from '../admin/api.ts';
import { metricsPage } from '../admin/control-metrics.ts';
import { startAdmin } from '../admin/server.ts';
import { sharedPage } from '../admin/shared-page.ts';
import { Scaler } from '../autoscale/scaler.ts';
import { RunningControl } from './control.ts';
import { type MemoryWatch, watchMemory } from './memory-watch.ts';
import { watchStalls } from './stall-watch.ts';
import { type Checked, checkOptions, checkOptionsWithin, installedHelp, patienceMs } from './option-check.ts';
import { targetsIn } from './replica-targets.ts';
import type { Config } from '../config/config.ts';
import { type ConfigProblem, formatProblem } from '../config/problems.ts';
import { boardSlots, LoadBoard } from '../core/board.ts';
import { systemClock } from '../core/clock.ts';
import { GatewayError, messageOf } from '../core/errors.ts';
import { EventLoopLag } from '../core/event-loop-lag.ts';
import { emptyTable, type RoutingTable } from '../core/table.ts';
import { canSharePort, DataPlane } from '../gateway/data-plane.ts';
import type { EnginePlugin } from '../plugins/engine-plugin.ts';
import { GpuLedger } from '../supervisor/gpus/ledger.ts';
import { machineGpus } from '../supervisor/gpus/machine.ts';
import { LocalProvider } from '../supervisor/providers/local.ts';
import { secretsOf } from '../supervisor/redact.ts';
import { StartHistory } from '../supervisor/start-history.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import { adapterSources } from '../supervisor/adapters/sources.ts';
import { storedWeights } from '../supervisor/weights.ts';
import { openStore } from './model-store.ts';

/** Both planes of a running gateway, composed. */
export interface Planes {
  /** With the numbers of replicas that the last run ended with, where they follow the load. */
  readonly config: Config;
  readonly log: Logger;
  /** Undefined: the log is stderr. */
  readonly logFile: string | undefined;
  readonly board: LoadBoard;
  readonly data: DataPlane;
  readonly admin: { readonly port: number; close(): Promise<void> };
  readonly supervisor: Supervisor;
  readonly scaler: Scaler;
  readonly provider: LocalProvider;
  /** What the admin API does, for who is in the same process. */
  readonly control: Pick<Control, 'reload'>;
  /** Aborted when it is closed: ends what is looked up for a reload. */
  readonly closing: AbortController;
}

export interface PlanesDeps {
  /** Those built in and those of `config.plugins`. */
  readonly engines: ReadonlyMap<string, EnginePlugin>;
  readonly log: Logger;
  /** Where the workers' logs go; undefined: stderr. */
  readonly logFile: string | undefined;
  /** Lines of `log` that could not be written so far. */
  logLinesDropped(): number;
  /** What engines inherit of (by the provider's allow-list). */
  readonly env: NodeJS.ProcessEnv;
  /** Has V8 favour memory or time, for the whole process; left out, nobody looks whether that should change. */
  readonly favour?: MemoryWatch['favour'];
  /** Called when the admin API asks the gateway to stop; left out, it refuses to. */
  readonly onStop?: (how: StopHow) => void;
}

/** @throws GatewayError `state_unusable` */
export function makeStateDir(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new GatewayError('state_unusable', `Cannot create the state directory ${path}: ${messageOf(error)} (gateway.state_dir).`, {
      cause: error,
    });
  }
}

const wallClockSeconds = (): number => Math.floor(Date.now() / 1000);

/** Where tables go: to the data plane once it runs, and until then into its hands when it starts. */
interface Link {
  first: RoutingTable;
  data?: DataPlane;
}

/** The supervisor with all that it acts through; it does nothing before its first config. */
function composeSupervisor(
  config: Config,
  board: LoadBoard,
  link: Link,
  { engines, log, env }: PlanesDeps,
): { readonly provider: LocalProvider; readonly supervisor: Supervisor } {
  const provider = new LocalProvider({
    stateDir: config.stateDir,
    enginePorts: config.enginePorts,
    env,
    clock: systemClock,
    log,
    random: Math.random,
  });
  const store = openStore(config);
  const supervisor = new Supervisor({
    clock: systemClock,
    provider,
    engines,
    board,
    log,
    weights: storedWeights(store, env, log),
    secrets: secretsOf(env),
    adapterSource: (plan) => adapterSources(plan, store, env),
    history: StartHistory.open(config.stateDir, log),
    gpus: new GpuLedger({ clock: systemClock, log, probe: machineGpus(env), env }),
    publish: (table) => {
      if (link.data === undefined) link.first = table;
      else link.data.publish(table);
    },
    // No adapters are looked for before there is a config, which comes after the data plane.
    showAdapters: (model, names) => link.data?.showAdapters(model, names),
    refuse: (model, adapter, error) => link.data?.refuse(model, adapter, error),
    appliedVersion: () => link.data?.appliedVersion() ?? 0,
    random: Math.random,
    wallClockSeconds,
  });
  return { provider, supervisor };
}

/** The loop that follows the load; it does nothing for models that the supervisor has not been given. */
function scalerOf({ stateDir, models }: Config, supervisor: Supervisor, log: Logger): Scaler {
  const scaler = new Scaler({
    clock: systemClock,
    log,
    loads: () => supervisor.loads(),
    scale: (model, replicas, how) => supervisor.scale(model, replicas, how),
    findsGpus: (taker, givenUp) => supervisor.findsGpus(taker, givenUp),
    keepGpusFor: (model) => supervisor.keepGpusFor(model),
    kept: targetsIn(stateDir, log),
    wallClockMs: () => Date.now(),
  });
  scaler.configure(models);
  return scaler;
}

/** Checks the options of a config that is to be applied; what takes long is told in the log. @throws ConfigError */
export async function checkSoon(
  loaded: Checked,
  env: NodeJS.ProcessEnv,
  log: Logger,
  signal: AbortSignal,
): Promise<readonly ConfigProblem[]> {
  const check = checkOptions(loaded, { engines: loaded.engines, help: installedHelp(env) }, signal);
  return checkOptionsWithin({ ms: patienceMs, clock: systemClock }, check, ({ problems, notes }) => {
    for (const found of [...problems, ...notes]) log.warn(formatProblem(found));
  });
}

/** What the admin API does to the planes. */
function controlOf(
  config: Config,
  { data, supervisor, scaler, closing }: Pick<Planes, 'data' | 'supervisor' | 'scaler' | 'closing'>,
  { engines, env, log, onStop }: PlanesDeps,
): RunningControl {
  return new RunningControl(config, {
    engines,
    env,
    wallClockSeconds,
    checkOptions: (loaded) => checkSoon(loaded, env, log, closing.signal),
    supervisor: () => supervisor,
    allow: (access) => data.allow(access),
    scaler,
    status: () => ({
      pid: process.pid,
      config: config.files,
      dataHost: config.listen.host,
      dataPort: data.port,
      now: systemClock.now(),
      models: supervisor.status(),
      gpus: supervisor.gpus(),
    }),
    onStop,
  });
}

/**
 * Composes the control plane and listens, so that a taken port is known before any engine starts. Requests for the models of `config`
 * wait from the first one on; no engine is launched before `supervisor.recover()` or `.apply()`. The state directory must exist.
 * @throws GatewayError `port_in_use`, `config_invalid`
 */
export async function openPlanes(config: Config, deps: PlanesDeps): Promise<Planes> {
  const { log, logFile } = deps;
  const workers = canSharePort ? config.workers : 1;
  const board = LoadBoard.create(workers, boardSlots);
  const link: Link = { first: emptyTable };
  const { provider, supervisor } = composeSupervisor(config, board, link, deps);
  const scaler = scalerOf(config, supervisor, log);
  try {
    const scaled = { ...config, models: scaler.adjusted(config.models) };
    supervisor.announce(scaled);
    const data = await DataPlane.start({
      ...config.listen,
      workers,
      plugins: config.plugins,
      settings: config.settings,
      board,
      table: link.first,
      log,
      workerLog: { level: config.logLevel, file: logFile },
      onApplied: () => supervisor.applied(),
      onDemand: (model) => scaler.demand(model),
      onAdapterDemand: (worker, demand) => supervisor.demand(worker, demand),
      onWorkerGone: (worker) => supervisor.forgetWorker(worker),
    });
    link.data = data;
    const closing = new AbortController();
    const control = controlOf(config, { data, supervisor, scaler, closing }, deps);
    const metrics = metricsOf(data, supervisor, control, deps);
    const admin = await startAdmin({ ...config.admin, stateDir: config.stateDir, metrics, control });
    watchStalls(systemClock, log, closing.signal);
    if (deps.favour !== undefined) watchMemory({ clock: systemClock, inFlight: () => board.total(), favour: deps.favour }, closing.signal);
    return { config: scaled, log, logFile, board, data, admin, supervisor, scaler, provider, control, closing };
  } catch (error) {
    scaler.stop();
    await link.data?.terminate();
    throw error;
  }
}

/** Makes the page of metrics, for all that ask at a time. */
function metricsOf(data: DataPlane, supervisor: Supervisor, control: RunningControl, deps: PlanesDeps): () => Promise<string> {
  const lag = new EventLoopLag(systemClock);
  const make = async (): Promise<string> =>
    metricsPage(await data.scrape(), {
      models: supervisor.status(),
      reloads: control.reloads(),
      logLinesDropped: deps.logLinesDropped(),
      scaling: control.autoscale(),
      lag: lag.read(),
    });
  return sharedPage(make, systemClock);
}

export interface Closing {
  /** Whether engines are left running for the next gateway. */
  readonly keepEngines?: boolean;
  /** How long requests may take to end. */
  readonly drainMs?: number;
}

/**
 * Says for `config.preStopMs` that it is not ready, then takes nothing new, lets requests end (at most `drainMs`; undefined: the config's `drainTimeoutMs`), then stops the engines and the admin listener.
 * `hurry` aborted: at once. Resolves once nothing is left running.
 */
export async function closePlanes(
  { config, data, admin, supervisor, scaler, closing }: Planes,
  hurry: AbortSignal,
  { keepEngines = false, drainMs = config.drainTimeoutMs }: Closing = {},
): Promise<void> {
  const hurried = Promise.withResolvers<void>();
  const onHurry = (): void => hurried.resolve();
  hurry.addEventListener('abort', onHurry, { once: true });
  try {
    if (!hurry.aborted && config.preStopMs > 0) await preStop(data, config.preStopMs, hurried.promise);
    if (!hurry.aborted) await Promise.race([data.drain(drainMs), hurried.promise]);
    if (hurry.aborted) await data.terminate();
    scaler.stop();
    await supervisor.stop(0, hurry, { keepEngines });
    closing.abort(new GatewayError('shutting_down', 'the gateway is stopping'));
    await admin.close();
  } finally {
    hurry.removeEventListener('abort', onHurry);
  }
}

/** Lets balancers find out that no more should be sent. */
async function preStop(data: DataPlane, ms: number, hurried: Promise<void>): Promise<void> {
  data.announceEnd();
  const over = Promise.withResolvers<void>();
  const cancel = systemClock.after(ms, over.resolve);
  await Promise.race([over.promise, hurried]);
  cancel();
}

/** What a start does with its planes. Where it fails, they are closed at once, and it throws the same: nothing listens on or lives on. */
export async function orClose(planes: Planes, begin: () => Promise<void> | void): Promise<void> {
  try {
    await begin();
  } catch (error) {
    await closePlanes(planes, AbortSignal.abort(new GatewayError('shutting_down', 'the start has failed')));
    throw error;
  }
}
