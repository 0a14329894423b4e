import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import pino, { type Logger } from 'pino';
import { startAdmin } from '../admin/server.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { formatProblem } from '../config/problems.ts';
import { LoadBoard } from '../core/board.ts';
import { systemClock } from '../core/clock.ts';
import { GatewayError, messageOf } from '../core/errors.ts';
import { canSharePort, DataPlane } from '../gateway/data-plane.ts';
import { engines } from '../plugins/registry.ts';
import { LocalProvider } from '../supervisor/providers/local.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import { exitCode, type ExitCode } from './exit-code.ts';
import { serving, settled } from './progress.ts';
import { localUrl, readyBlock } from './ready-block.ts';
import { Terminal } from './terminal.ts';

/** Columns of the load board: one for each model and each replica there can be at a time. */
const boardSlots = 4096;
/** One Ctrl-C under npm arrives twice, from the terminal and from npm: within this time it is one. */
const oneSignalMs = 250;
const refreshMs = 1000;
const drainReportMs = 2000;

/** Where a run prints, and how it is told to stop. */
export interface Session {
  readonly out: NodeJS.WriteStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Calls `listener` at each signal that asks to stop. Returns what removes it. */
  onSignal(listener: (signal: NodeJS.Signals) => void): () => void;
  /** Calls `listener` when an error has escaped everything: nothing can be trusted any more. */
  onDisaster(listener: (error: unknown) => void): () => void;
}

interface Planes {
  readonly config: Config;
  readonly log: Logger;
  readonly board: LoadBoard;
  readonly data: DataPlane;
  readonly admin: { readonly port: number; close(): Promise<void> };
  readonly supervisor: Supervisor;
  readonly provider: LocalProvider;
}

function openLog(config: Config, out: NodeJS.WriteStream): { log: Logger; file: string | undefined } {
  // A person at a terminal reads the lines of `Terminal`; a service's log collector reads stderr.
  const file = out.isTTY ? join(config.stateDir, 'gateway.log') : undefined;
  return { log: pino({ level: config.logLevel, base: null }, pino.destination({ dest: file ?? 2, sync: true, mkdir: true })), file };
}

function makeStateDir(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new GatewayError('state_unusable', `Cannot create the state directory ${path}: ${messageOf(error)} (gateway.state_dir).`, {
      cause: error,
    });
  }
}

/** Listens first, so that a taken port is known before any engine starts; then launches the engines. */
async function compose(config: Config, out: NodeJS.WriteStream): Promise<Planes> {
  makeStateDir(config.stateDir);
  const { log, file } = openLog(config, out);
  const workers = canSharePort ? config.workers : 1;
  const board = LoadBoard.create(workers, boardSlots);
  const current: { supervisor?: Supervisor } = {};
  const data = await DataPlane.start({
    ...config.listen,
    workers,
    settings: config.settings,
    board,
    log,
    workerLog: { level: config.logLevel, file },
    onApplied: () => current.supervisor?.applied(),
  });
  try {
    const admin = await startAdmin({ ...config.admin, scrape: () => data.scrape(), status: () => current.supervisor?.status() ?? [] });
    const provider = new LocalProvider({
      stateDir: config.stateDir,
      enginePorts: config.enginePorts,
      env: process.env,
      clock: systemClock,
      log,
      random: Math.random,
    });
    const supervisor = new Supervisor({
      clock: systemClock,
      provider,
      engines,
      board,
      log,
      publish: (table) => data.publish(table),
      appliedVersion: () => data.appliedVersion(),
      random: Math.random,
      wallClockSeconds: () => Math.floor(Date.now() / 1000),
    });
    current.supervisor = supervisor;
    return { config, log, board, data, admin, supervisor, provider };
  } catch (error) {
    await data.terminate();
    throw error;
  }
}

/** Serves until told to stop. Resolves with the exit code once nothing is left running. */
export async function start(file: string, session: Session): Promise<ExitCode> {
  const terminal = new Terminal(session.out);
  const { config, warnings } = loadConfig(file, { env: session.env, engines, cores: navigator.hardwareConcurrency, homeDir: homedir() });
  for (const warning of warnings) terminal.line(`warning: ${formatProblem(warning)}`);
  const planes = await compose(config, session.out);
  const stopDisaster = session.onDisaster((error) => {
    planes.log.fatal({ err: error }, 'an error escaped; engines are killed');
    planes.provider.killAllNow();
  });
  try {
    return await serve(planes, terminal, session);
  } finally {
    stopDisaster();
  }
}

async function serve(planes: Planes, terminal: Terminal, session: Session): Promise<ExitCode> {
  const { supervisor, config } = planes;
  const first = Promise.withResolvers<NodeJS.Signals>();
  const second = new AbortController();
  let firstAt: number | undefined;
  const stopSignals = session.onSignal((signal) => {
    firstAt ??= systemClock.now();
    first.resolve(signal);
    if (systemClock.now() - firstAt >= oneSignalMs)
      second.abort(new GatewayError('shutting_down', `a second ${signal} asked to stop at once`));
  });
  const announced: Announced = { said: 'nothing' };
  const show = (): void => announce(planes, terminal, announced);
  const unsubscribe = supervisor.subscribe(show);
  const ticker = setInterval(() => terminal.refresh(supervisor.status(), systemClock.now()), refreshMs);
  try {
    supervisor.apply(config);
    show();
    const signal = await first.promise;
    unsubscribe();
    return await shutDown(planes, terminal, signal, second.signal);
  } finally {
    clearInterval(ticker);
    unsubscribe();
    stopSignals();
  }
}

/** The last block printed. */
interface Announced {
  said: 'nothing' | 'listening' | 'ready';
}

/** Prints what is new; once the start is over, the block with the URL - and again if no model served then and one does now. */
function announce({ supervisor, config, data, admin }: Planes, terminal: Terminal, announced: Announced): void {
  const models = supervisor.status();
  terminal.update(models, systemClock.now());
  const now = serving(models) ? 'ready' : 'listening';
  if (!settled(models) || announced.said === 'ready' || announced.said === now) return;
  announced.said = now;
  terminal.line(readyBlock({ data: localUrl(config.listen.host, data.port), admin: localUrl(config.admin.host, admin.port) }, models));
}

/** Drains, saying what it waits for; a second signal cuts it short. */
async function shutDown(
  { config, data, admin, supervisor }: Planes,
  terminal: Terminal,
  signal: NodeJS.Signals,
  hurry: AbortSignal,
): Promise<ExitCode> {
  const inFlight = (): number =>
    supervisor
      .status()
      .reduce((sum, { replicas, waiting }) => sum + waiting + replicas.reduce((all, replica) => all + replica.inFlight, 0), 0);
  const report = (): void => {
    const count = inFlight();
    if (count > 0)
      terminal.line(
        `Waiting for ${count} request${count === 1 ? '' : 's'} to end (at most ${config.drainTimeoutMs / 1000} s; ${signal === 'SIGINT' ? 'Ctrl-C' : signal} again stops now).`,
      );
  };
  terminal.line(`${signal}: stopping.`);
  report();
  const reporter = setInterval(report, drainReportMs);
  const hurried = new Promise<void>((resolve) => hurry.addEventListener('abort', () => resolve(), { once: true }));
  try {
    await Promise.race([data.drain(config.drainTimeoutMs), hurried]);
    if (hurry.aborted) await data.terminate();
    await supervisor.stop(0, hurry);
    await admin.close();
  } finally {
    clearInterval(reporter);
  }
  terminal.line('Stopped; no engine is left running.');
  if (!hurry.aborted) return exitCode.ok;
  return signal === 'SIGINT' ? exitCode.interrupted : exitCode.terminated;
}
