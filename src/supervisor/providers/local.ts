import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type pino from 'pino';
import type { Clock } from '../../core/clock.ts';
import { GatewayError, messageOf } from '../../core/errors.ts';
import type { ReplicaId } from '../../core/ids.ts';
import { isLogOfSameReplica } from '../replica-id.ts';
import { EngineProcess } from './engine-process.ts';
import { engineEnvironment } from './environment.ts';
import { findExecutable } from './executable.ts';
import { LogTail } from './log-tail.ts';
import { Ports } from './ports.ts';
import { killMembersNow } from './processes.ts';
import type { Family } from './processes.ts';
import type { Exit, LogWatch, ReplicaHandle, ReplicaProvider, ReplicaSpec } from './provider.ts';

export interface LocalProviderDeps {
  readonly clock: Clock;
  readonly log: pino.Logger;
  /** 0 ≤ random() < 1; spreads the ports. */
  readonly random: () => number;
  /** The gateway's own environment; engines get an allow-listed part of it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stateDir: string;
  readonly enginePorts: { readonly first: number; readonly count: number };
}

/** Logs of former runs that are kept, for each replica. */
const logsKept = 5;

interface Prepared {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Record<string, string>;
  readonly port: number;
  readonly apiKey: string;
  readonly logFile: string;
}

/** Runs replicas as process groups on this machine, each on a loopback port and with a key of its own. */
export class LocalProvider implements ReplicaProvider {
  readonly #deps: LocalProviderDeps;
  readonly #ports: Ports;
  readonly #families = new Set<Family>();

  constructor(deps: LocalProviderDeps) {
    this.#deps = deps;
    this.#ports = new Ports(deps.enginePorts, deps.random);
  }

  async launch(spec: ReplicaSpec, watch: LogWatch, signal: AbortSignal): Promise<ReplicaHandle> {
    const [command, ...leading] = spec.command;
    const path = spec.model.env['PATH'] ?? this.#deps.env['PATH'] ?? '';
    const file = await findExecutable(command, path, spec.engine.install);
    const logFile = await this.#logFile(spec.id);
    signal.throwIfAborted();
    const port = await this.#ports.take();
    try {
      signal.throwIfAborted();
      const apiKey = randomBytes(32).toString('hex');
      const { args, env } = spec.engine.command({
        model: spec.model.source,
        servedName: spec.model.name,
        port,
        apiKey,
        stopGraceS: Math.floor(spec.engine.stopping.graceMs / 1000),
      });
      const environment = engineEnvironment(this.#deps.env, spec.model.env, env, spec.id);
      return await this.#spawn(spec, { file, args: [...leading, ...args], env: environment, port, apiKey, logFile }, watch, signal);
    } catch (thrown) {
      this.#ports.release(port);
      throw thrown;
    }
  }

  /** Ends every engine at once, without waiting: for a gateway that is about to exit by accident. */
  killAllNow(): void {
    killMembersNow([...this.#families]);
  }

  async #spawn(spec: ReplicaSpec, prepared: Prepared, watch: LogWatch, signal: AbortSignal): Promise<ReplicaHandle> {
    const { file, args, env, logFile } = prepared;
    // Opened before the process exists, so that no line is missed.
    const output = openSync(logFile, 'a', 0o600);
    let tail: LogTail | undefined;
    try {
      tail = await LogTail.open(logFile, this.#deps.clock, watch);
      signal.throwIfAborted();
      const { pid, exited, failed } = start(file, args, env, output);
      if (pid === undefined)
        throw new GatewayError('engine_missing', `${file}: cannot be run: ${messageOf(await failed)}. ${spec.engine.install}`);
      const family: Family = { pgid: pid, replica: spec.id };
      this.#families.add(family);
      const onGone = (): void => {
        this.#families.delete(family);
        this.#ports.release(prepared.port);
      };
      const upstream = `http://127.0.0.1:${prepared.port}`;
      const { clock, log } = this.#deps;
      return new EngineProcess({ upstream, apiKey: prepared.apiKey, pid, logFile, family, exited, tail, clock, log, onGone });
    } catch (thrown) {
      await tail?.close();
      throw thrown;
    } finally {
      closeSync(output);
    }
  }

  async #logFile(id: ReplicaId): Promise<string> {
    const directory = join(this.#deps.stateDir, 'logs');
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await this.#prune(directory, id);
    } catch (thrown) {
      throw new GatewayError('state_unusable', `${directory}: cannot be used for the engines' logs: ${messageOf(thrown)}`, {
        cause: thrown,
      });
    }
    return join(directory, `${id}.log`);
  }

  /** Every start has a log of its own; of a crash loop only the last few are worth keeping. */
  async #prune(directory: string, id: ReplicaId): Promise<void> {
    const files = (await readdir(directory)).filter((file) => isLogOfSameReplica(id, file)).map((file) => join(directory, file));
    if (files.length <= logsKept) return;
    const dated = await Promise.all(files.map(async (file) => ({ file, time: (await stat(file)).mtimeMs })));
    const old = dated.sort((a, b) => b.time - a.time).slice(logsKept);
    await Promise.all(old.map(({ file }) => rm(file, { force: true })));
  }
}

interface Started {
  /** Undefined when there is no process. */
  readonly pid: number | undefined;
  readonly exited: Promise<Exit>;
  /** Resolves with the reason when there is none. */
  readonly failed: Promise<Error>;
}

/**
 * A process in a session of its own, writing to `output` itself: a pipe would end with the gateway. Node's own spawn, not execa: execa
 * takes no file descriptor above 9, and all that it adds (buffering, clean-up at our exit, kill of one process) is wrong for a process
 * that must outlive its parent and is ended by its group.
 */
function start(file: string, args: readonly string[], env: Record<string, string>, output: number): Started {
  const child = spawn(file, args, { stdio: ['ignore', output, output], detached: true, env });
  const failed = new Promise<Error>((resolve) => child.once('error', resolve));
  const exited = new Promise<Exit>((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
  return { pid: child.pid, exited, failed };
}
