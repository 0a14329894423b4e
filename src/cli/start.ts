import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import pino, { type Logger } from 'pino';
import { checkOptions, checkOptionsWithin, installedHelp, patienceMs } from '../app/option-check.ts';
import { watchConfig } from '../app/config-watch.ts';
import type { StopHow } from '../admin/api.ts';
import { closePlanes, openPlanes, orClose, type Planes } from '../app/planes.ts';
import type { Config } from '../config/config.ts';
import type { LoadedConfig } from '../config/load.ts';
import { type ConfigProblem, formatProblem } from '../config/problems.ts';
import { systemClock } from '../core/clock.ts';
import { GatewayError, messageOf } from '../core/errors.ts';
import { openLogDestination } from '../core/log-destination.ts';
import { requestsOf } from '../supervisor/report.ts';
import { claimStateDir, closeToOthers } from '../supervisor/state-dir.ts';
import type { Claim } from '../supervisor/state-dir.ts';
import { watchStateDir } from '../supervisor/state-dir-watch.ts';
import { changeText } from './change-text.ts';
import { exitCode, type ExitCode } from './exit-code.ts';
import { loadConfigHere } from './load-config.ts';
import { favouring, toldFavour, toldV8 } from './memory-flags.ts';
import { readyOf, serving, settled } from './progress.ts';
import { localUrl, readyBlock } from './ready-block.ts';
import { Terminal } from './terminal.ts';
import type { OutputOptions } from './verb.ts';

/** One Ctrl-C under npm arrives twice, from the terminal and from npm: within this time it is one. */
const oneSignalMs = 250;
const refreshMs = 1000;
const drainReportMs = 2000;

const asProcessOne =
  'the gateway is process 1 of this container, and collects no orphans of its engines: they stay as zombies. Run it under an init (docker run --init, or tini).';

/** Where a run prints, and how it is told to stop. */
export interface Session {
  /** Whether engines are left running at the end, for the next gateway on the same state directory. */
  readonly keepEngines: boolean;
  /** Whether the config is read again when its files change. */
  readonly watch: boolean;
  readonly out: NodeJS.WriteStream;
  /** Whether a person reads what it prints, on stdout or stderr. */
  readonly atTerminal: boolean;
  readonly output: OutputOptions;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Calls `listener` at each signal that asks to stop. Returns what removes it. */
  onSignal(listener: (signal: NodeJS.Signals) => void): () => void;
  /** Calls `listener` at each signal that asks to read the config again. Returns what removes it. */
  onReload(listener: () => void): () => void;
  /** Calls `listener` when an error has escaped everything: nothing can be trusted any more. */
  onDisaster(listener: (error: unknown) => void): () => void;
}

/** The log, and how many of its lines could not be written so far. */
function openLog(config: Config, atTerminal: boolean): { log: Logger; file: string | undefined; dropped: () => number } {
  let dropped = 0;
  // A person at a terminal reads the lines of `Terminal`; a service's log collector reads stderr.
  const file = config.logFile ?? (atTerminal ? join(config.stateDir, 'gateway.log') : undefined);
  const destination = openLogDestination(file ?? 2, () => (dropped += 1));
  return { log: pino({ level: config.logLevel, base: null }, destination), file, dropped: () => dropped };
}

/** Serves until told to stop. Resolves with the exit code once nothing is left running. */
export async function start(files: readonly string[], session: Session): Promise<ExitCode> {
  const terminal = new Terminal(session.out, session.output);
  const warn = (warnings: readonly ConfigProblem[]): void => {
    for (const warning of warnings) terminal.warn(formatProblem(warning));
  };
  const loaded = await loadConfigHere(files, session.env);
  warn(loaded.warnings);
  if (process.pid === 1) terminal.warn(asProcessOne);
  const ending = new AbortController();
  try {
    const check = checkOptions(loaded, { engines: loaded.engines, help: installedHelp(session.env) }, ending.signal);
    // An engine that takes long to print its help is started meanwhile: it refuses what it does not know itself.
    warn(await checkOptionsWithin({ ms: patienceMs, clock: systemClock }, check, ({ problems, notes }) => warn([...problems, ...notes])));
    const mended = closeToOthers(loaded.config.stateDir);
    if (mended !== undefined) terminal.warn(mended);
    const claim = claimStateDir(loaded.config.stateDir);
    try {
      return await serveUnder(loaded, terminal, session, claim);
    } finally {
      claim.release();
    }
  } finally {
    ending.abort(new GatewayError('shutting_down', 'the gateway has stopped'));
  }
}

/** Opens the planes on a state directory that is ours, and serves until told to stop. */
async function serveUnder(loaded: LoadedConfig, terminal: Terminal, session: Session, claim: Claim): Promise<ExitCode> {
  const { config, engines } = loaded;
  const { log, file: logFile, dropped: logLinesDropped } = openLog(config, session.atTerminal);
  const asked: Asked = { first: Promise.withResolvers(), now: new AbortController() };
  const planes = await openPlanes(config, {
    engines,
    log,
    logFile,
    logLinesDropped,
    env: process.env,
    ...(toldFavour(toldV8()) ? {} : { favour: (kind) => setFlagsFromString(favouring(kind)) }),
    onStop: (how) => stopAsAsked(asked, how),
  });
  const stopDisaster = session.onDisaster((error) => {
    planes.log.fatal({ err: error }, 'an error escaped; engines are killed');
    planes.provider.killAllNow();
  });
  const stopWatch = watchStateDir(systemClock, log, claim, {
    restore: () => planes.provider.restoreLeases(),
    makeRoom: () => void planes.provider.makeRoom(),
  });
  try {
    return await serve(planes, loaded, terminal, session, asked);
  } finally {
    stopWatch();
    stopDisaster();
  }
}

/** The wish to stop: how it came, and for how long requests may go on (undefined: as the config says). */
interface StopWish {
  readonly signal: NodeJS.Signals;
  readonly drainMs?: number | undefined;
}

/** What has been asked of a run: to stop, and then perhaps at once. */
interface Asked {
  readonly first: PromiseWithResolvers<StopWish>;
  readonly now: AbortController;
}

/** A stop that came over the admin API is as one by SIGTERM. */
function stopAsAsked({ first, now }: Asked, how: StopHow): void {
  first.resolve({ signal: 'SIGTERM', drainMs: how.kind === 'drain' ? how.drainMs : 0 });
  if (how.kind === 'now') now.abort(new GatewayError('shutting_down', 'the gateway was asked to stop at once'));
}

async function serve(planes: Planes, loaded: LoadedConfig, terminal: Terminal, session: Session, { first, now }: Asked): Promise<ExitCode> {
  const { supervisor, config } = planes;
  let firstAt: number | undefined;
  const stopSignals = session.onSignal((signal) => {
    firstAt ??= systemClock.now();
    first.resolve({ signal });
    if (systemClock.now() - firstAt >= oneSignalMs)
      now.abort(new GatewayError('shutting_down', `a second ${signal} asked to stop at once`));
  });
  const started = Promise.withResolvers<void>();
  const readAgain = (): Promise<void> => reload(planes, terminal);
  const stopReloads = session.onReload(() => void started.promise.then(readAgain));
  try {
    await orClose(planes, () => supervisor.recover(config, planes.provider));
    started.resolve();
    const wish = await telling(planes, terminal, () =>
      session.watch ? watching(loaded, session.env, readAgain, first.promise) : first.promise,
    );
    return await shutDown(planes, terminal, wish, now.signal, session.keepEngines);
  } finally {
    stopReloads();
    stopSignals();
  }
}

/** Shows what is new of the models until `work` is over; nothing of the end, which is told otherwise. */
async function telling<T>(planes: Planes, terminal: Terminal, work: () => Promise<T>): Promise<T> {
  const { supervisor } = planes;
  const announced: Announced = { said: 'nothing' };
  const show = (): void => announce(planes, terminal, announced);
  const unsubscribe = supervisor.subscribe(show);
  const ticker = setInterval(() => terminal.refresh(supervisor.status(), systemClock.now()), refreshMs);
  try {
    show();
    return await work();
  } finally {
    clearInterval(ticker);
    unsubscribe();
    terminal.refresh([], systemClock.now());
  }
}

/** Watches the config's files until `end` settles. */
async function watching<T>(loaded: LoadedConfig, env: Session['env'], reload: () => Promise<void>, end: Promise<T>): Promise<T> {
  const stop = new AbortController();
  const watch = watchConfig(loaded, { clock: systemClock, env, reload }, stop.signal);
  try {
    return await end;
  } finally {
    stop.abort(new GatewayError('shutting_down', 'the gateway is stopping'));
    await watch;
  }
}

/** Reads the config again, and says what came of it. Never rejects. */
async function reload({ control, log }: Planes, terminal: Terminal): Promise<void> {
  try {
    const changes = await control.reload();
    log.info({ models: changes.models.filter(({ action }) => action !== 'keep') }, 'the config was read again');
    terminal.say({ kind: 'reloaded', ...changes }, `The config was read again.\n${changeText(changes).trimEnd()}`);
  } catch (error) {
    const expected = error instanceof GatewayError;
    if (expected) log.warn({ code: error.code }, `the config was not accepted: ${error.message}`);
    else log.error({ err: error }, 'defect while the config was read again');
    const message = messageOf(error);
    terminal.say({ kind: 'reload_refused', message }, `The config was not accepted; what runs goes on as it was.\n${message}`);
  }
}

/** The last block printed. */
interface Announced {
  said: 'nothing' | 'listening' | 'ready';
}

/** Prints what is new; once the start is over, the block with the URL - and again if no model served then and one does now. */
function announce({ supervisor, config, data, admin, logFile }: Planes, terminal: Terminal, announced: Announced): void {
  const models = supervisor.status();
  terminal.update(models, systemClock.now());
  const now = serving(models) ? 'ready' : 'listening';
  if (!settled(models) || announced.said === 'ready' || announced.said === now) return;
  announced.said = now;
  const [url, adminUrl] = [localUrl(config.listen.host, data.port), localUrl(config.admin.host, admin.port)];
  const served = models.map(({ name, replicas, desired }) => ({ name, ready: readyOf(replicas), desired }));
  const log = logFile === undefined ? {} : { logFile };
  terminal.say({ kind: now, url, adminUrl, ...log, models: served }, readyBlock({ data: url, admin: adminUrl, ...log }, models, config));
}

/** Drains, saying what it waits for; a second signal cuts it short. */
async function shutDown(
  planes: Planes,
  terminal: Terminal,
  { signal, drainMs = planes.config.drainTimeoutMs }: StopWish,
  hurry: AbortSignal,
  keepEngines: boolean,
): Promise<ExitCode> {
  const { supervisor, config } = planes;
  const report = (): void => {
    const count = requestsOf(supervisor.status());
    if (count > 0)
      terminal.say(
        { kind: 'draining', requests: count, atMostS: drainMs / 1000 },
        `Waiting for ${count} request${count === 1 ? '' : 's'} to end (at most ${drainMs / 1000} s; ${signal === 'SIGINT' ? 'Ctrl-C' : signal} again stops now).`,
      );
  };
  const preStop = config.preStopMs > 0 ? ` Requests are still taken for ${config.preStopMs / 1000} s (gateway.timeouts.pre_stop_s).` : '';
  terminal.say({ kind: 'stopping', signal }, `${signal}: stopping.${preStop}`);
  report();
  const reporter = setInterval(report, drainReportMs);
  try {
    await closePlanes(planes, hurry, { keepEngines, drainMs });
  } finally {
    clearInterval(reporter);
  }
  terminal.say(
    { kind: 'stopped', enginesRun: keepEngines },
    keepEngines ? 'Stopped; the engines run on, and the next start takes them over.' : 'Stopped; no engine is left running.',
  );
  if (!hurry.aborted) return exitCode.ok;
  return signal === 'SIGINT' ? exitCode.interrupted : exitCode.terminated;
}
