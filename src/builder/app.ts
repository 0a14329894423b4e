import { homedir } from 'node:os';
import pino, { type Logger } from 'pino';
import type { Checked } from '../app/option-check.ts';
import { checkSoon, closePlanes, makeStateDir, openPlanes, orClose, type Planes } from '../app/planes.ts';
import type { Config } from '../config/config.ts';
import { configFromValue } from '../config/from-value.ts';
import { formatProblem } from '../config/problems.ts';
import { GatewayError } from '../core/errors.ts';
import { openLogDestination } from '../core/log-destination.ts';
import { engines } from '../plugins/registry.ts';
import type { ModelReport } from '../supervisor/report.ts';
import { closeToOthers } from '../supervisor/state-dir.ts';
import type { FileConfig } from './define-config.ts';

/** An OpenAI-compatible API in front of models: what `gateway start` runs. Started once and stopped once. */
export class App implements AsyncDisposable {
  /** What of the config was accepted and has no effect: path and reason. */
  readonly warnings: readonly string[];
  readonly #config: Config;
  readonly #built: Checked;
  readonly #log: Logger | undefined;
  readonly #hurry = new AbortController();
  /** Aborted when it is stopped: ends what is still looked up. */
  readonly #ending = new AbortController();
  #opening: Promise<Planes> | undefined;
  #planes: Planes | undefined;
  #stopping: Promise<void> | undefined;

  /**
   * Checks the config; nothing runs yet. Relative paths start at the working directory. `log` unless given: `gateway.log.file`
   * or stderr, at `gateway.log.level`; worker threads write there in any case.
   * @throws GatewayError `config_invalid` with every mistake, a line each
   */
  constructor(config: FileConfig, log?: Logger) {
    const deps = { env: process.env, engines, cores: navigator.hardwareConcurrency, homeDir: homedir() };
    const built = configFromValue(config, process.cwd(), deps);
    this.#config = built.config;
    this.#built = built;
    this.warnings = built.warnings;
    this.#log = log;
  }

  /**
   * Resolves when the API listens and the engines were asked to start; requests wait for them. A second call changes nothing.
   * @throws GatewayError `port_in_use`, `state_unusable`; `config_invalid` with options that the installed engine does not know;
   * `shutting_down` after `stop`
   */
  async start(): Promise<void> {
    if (this.#stopping !== undefined) throw new GatewayError('shutting_down', 'The app was stopped; build a new one to start again.');
    this.#opening ??= this.#open();
    await this.#opening;
  }

  /** Where clients reach the API, e.g. `http://127.0.0.1:8000`, without a route prefix. @throws GatewayError before `start` */
  get url(): string {
    const { host } = this.#config.listen;
    return `http://${host.includes(':') ? `[${host}]` : host}:${this.#running().data.port}`;
  }

  /** What runs: models and their replicas. @throws GatewayError before `start` */
  status(): readonly ModelReport[] {
    return this.#running().supervisor.status();
  }

  /**
   * Resolves when every model has all the replicas that the config wants, ready. Waits as long as trying can help.
   * @throws GatewayError `start_failed` when a replica has failed for good; the signal's reason; `shutting_down` when it is stopped
   */
  async ready(signal?: AbortSignal): Promise<void> {
    const { supervisor } = this.#running();
    const done = Promise.withResolvers<void>();
    const look = (): void => {
      const verdict = judge(supervisor.status());
      if (verdict === 'ready') done.resolve();
      else if (verdict !== 'waiting') done.reject(verdict);
    };
    const leave = (): void => done.reject(signal?.reason);
    const end = (): void => done.reject(new GatewayError('shutting_down', 'The app was stopped before its models were ready.'));
    const unsubscribe = supervisor.subscribe(look);
    signal?.addEventListener('abort', leave, { once: true });
    this.#hurry.signal.addEventListener('abort', end, { once: true });
    try {
      if (signal?.aborted === true) leave();
      if (this.#stopping !== undefined) end();
      look();
      await done.promise;
    } finally {
      unsubscribe();
      signal?.removeEventListener('abort', leave);
      this.#hurry.signal.removeEventListener('abort', end);
    }
  }

  /**
   * Lets requests end (at most `gateway.timeouts.drain_s`; `now`: at once), then stops the engines. Resolves once nothing is left
   * running. May be called again, to stop at once after all.
   */
  async stop({ now = false }: { readonly now?: boolean } = {}): Promise<void> {
    if (now) this.#hurry.abort(new GatewayError('shutting_down', 'the app was asked to stop at once'));
    this.#stopping ??= this.#close();
    await this.#stopping;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #open(): Promise<Planes> {
    const config = this.#config;
    makeStateDir(config.stateDir);
    let dropped = 0;
    const log =
      this.#log ??
      pino(
        { level: config.logLevel, base: null },
        openLogDestination(config.logFile ?? 2, () => (dropped += 1)),
      );
    const mended = closeToOthers(config.stateDir);
    if (mended !== undefined) log.warn(mended);
    const notes = await checkSoon(this.#built, process.env, log, this.#ending.signal);
    for (const note of notes) log.warn(formatProblem(note));
    const planes = await openPlanes(config, {
      engines: this.#built.engines,
      log,
      logFile: config.logFile,
      logLinesDropped: () => dropped,
      env: process.env,
    });
    // Whatever ends this process, no engine outlives it unseen.
    process.on('exit', this.#onExit);
    this.#planes = planes;
    try {
      await orClose(planes, () => planes.supervisor.apply(planes.config));
    } catch (error) {
      this.#planes = undefined;
      process.off('exit', this.#onExit);
      throw error;
    }
    return planes;
  }

  readonly #onExit = (): void => this.#planes?.provider.killAllNow();

  async #close(): Promise<void> {
    this.#ending.abort(new GatewayError('shutting_down', 'the app is stopping'));
    const opened = await this.#opening?.catch(() => undefined);
    if (opened === undefined) return;
    await closePlanes(opened, this.#hurry.signal);
    process.off('exit', this.#onExit);
  }

  #running(): Planes {
    if (this.#planes === undefined) throw new GatewayError('usage_invalid', 'The app does not run; expected start() to have resolved.');
    return this.#planes;
  }
}

/** Of all replicas together; an error where waiting longer cannot help. */
function judge(models: readonly ModelReport[]): 'ready' | 'waiting' | GatewayError {
  for (const { name, replicas } of models) {
    const failed = replicas.find(({ state }) => state === 'failed');
    if (failed !== undefined) return new GatewayError('start_failed', `${name}: ${failed.lastError?.message ?? failed.phase}`);
  }
  return models.every(complete) ? 'ready' : 'waiting';
}

function complete({ replicas, desired }: ModelReport): boolean {
  return replicas.filter(({ state }) => state === 'ready').length >= desired;
}
