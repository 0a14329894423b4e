import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import type pino from 'pino';
import type { Clock } from '../../core/clock.ts';
import { GatewayError, messageOf } from '../../core/errors.ts';
import { isForWantOfRoom } from '../../core/full-disk.ts';
import { commandLineOf } from '../command-line.ts';
import { gpuEnvironment } from '../gpus/visible.ts';
import { ProcessCensus } from './census.ts';
import { EngineLogs } from './engine-logs.ts';
import { EngineProcess } from './engine-process.ts';
import { findFormer } from './former.ts';
import { killFamily, reapFamily } from './kill-family.ts';
import type { KillDeps } from './kill-family.ts';
import { killMembersNow, SpareDescriptor } from './kill-now.ts';
import { Leases, newLease } from './lease.ts';
import type { Lease } from './lease.ts';
import { ageMs, identify, ProcessHold, untilEnded } from './process-identity.ts';
import { engineEnvironment } from './environment.ts';
import { activated, findExecutable, searchPath } from './executable.ts';
import type { LogTail } from './log-tail.ts';
import { OomCount } from './oom.ts';
import { Ports } from './ports.ts';
import { signalGroup } from './processes.ts';
import { start } from './start-process.ts';
import type { Started } from './start-process.ts';
import type { Family } from './processes.ts';
import type { Exit, LogWatch, Recovered, Recovery, Remains, ReplicaProvider, ReplicaSpec } from './provider.ts';

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

interface Prepared {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Record<string, string>;
  readonly port: number;
  readonly innerPorts: number;
  readonly apiKey: string;
  readonly logFile: string;
}

/** Runs replicas as process groups on this machine, each on a loopback port, with a key of its own, and a lease on disk. */
export class LocalProvider implements ReplicaProvider, Recovery {
  readonly #deps: LocalProviderDeps;
  readonly #ports: Ports;
  readonly #leases: Leases;
  readonly #logs: EngineLogs;
  readonly #families = new Set<Family>();
  /** By id: what the next gateway must find. */
  readonly #held = new Map<string, Lease>();
  readonly #census = new ProcessCensus();
  readonly #spare = new SpareDescriptor();
  readonly #oom = new OomCount();

  constructor(deps: LocalProviderDeps) {
    this.#deps = deps;
    this.#ports = new Ports(deps.enginePorts, deps.random);
    this.#leases = new Leases(deps.stateDir);
    this.#logs = new EngineLogs(deps.stateDir, deps.clock);
  }

  async launch(spec: ReplicaSpec, watch: LogWatch, signal: AbortSignal): Promise<EngineProcess> {
    try {
      return await this.#launch(spec, watch, signal);
    } catch (thrown) {
      // A flood of another engine's log may have taken the room of a lease: between two cuts it can do so at any time.
      if (!isForWantOfRoom(thrown instanceof GatewayError ? thrown.cause : thrown) || !(await this.makeRoom())) throw thrown;
      signal.throwIfAborted();
      return await this.#launch(spec, watch, signal);
    }
  }

  async #launch(spec: ReplicaSpec, watch: LogWatch, signal: AbortSignal): Promise<EngineProcess> {
    const [command, ...leading] = spec.command;
    const path = searchPath(spec.model.env, this.#deps.env);
    const file = await findExecutable(command, path, spec.engine);
    const logFile = await this.#logs.place(spec.id);
    signal.throwIfAborted();
    const { innerPorts = 0 } = spec.engine;
    const port = await this.#ports.take(1 + innerPorts);
    try {
      signal.throwIfAborted();
      const apiKey = randomBytes(32).toString('hex');
      const { adapters = [] } = spec;
      const { args, env } = commandLineOf(spec.model, spec.engine, { port, innerPort: port + 1, apiKey, adapters });
      const own = { ...activated(file, path), ...env, ...(spec.gpus?.env ?? gpuEnvironment([])) };
      const environment = engineEnvironment(this.#deps.env, spec.model.env, own, spec.id);
      const prepared: Prepared = { file, args: [...leading, ...args], env: environment, port, innerPorts, apiKey, logFile };
      return await this.#spawn(spec, prepared, watch, signal);
    } catch (thrown) {
      this.#ports.release(port, 1 + innerPorts);
      throw thrown;
    }
  }

  /** Ends every engine at once, without waiting: for a gateway that is about to exit by accident. */
  killAllNow(): void {
    const missed = killMembersNow([...this.#families], this.#spare);
    if (missed > 0) this.#deps.log.error({ processes: missed }, 'no file descriptor was left to look for processes that left their groups');
  }

  /** Writes the leases of all that runs again: somebody has deleted them. @throws GatewayError `state_unusable`. */
  restoreLeases(): void {
    for (const lease of this.#held.values()) this.#leases.write(lease);
  }

  /** Cuts the logs on a full disk: an engine whose lines find no room gives no sign of it. Whether that has made some; never rejects. */
  async makeRoom(): Promise<boolean> {
    return await this.#logs.makeRoom();
  }

  async #spawn(spec: ReplicaSpec, prepared: Prepared, watch: LogWatch, signal: AbortSignal): Promise<EngineProcess> {
    const { file, logFile } = prepared;
    // Opened before the process exists, so that no line is missed.
    const output = openSync(logFile, 'a', 0o600);
    let tail: LogTail | undefined;
    try {
      tail = await this.#logs.follow(logFile, watch);
      signal.throwIfAborted();
      const { pid, exited, failed, letGo } = await this.#startLeased(spec, prepared, output);
      if (pid === undefined)
        throw new GatewayError('engine_missing', `${file}: cannot be run: ${messageOf(await failed)}. ${spec.engine.install}`);
      const { port, innerPorts, apiKey } = prepared;
      return this.#own({ id: spec.id, pid, port, innerPorts, apiKey, logFile, tail, exited, letGo });
    } catch (thrown) {
      await tail?.close();
      throw thrown;
    } finally {
      closeSync(output);
    }
  }

  /**
   * Between the start of the process and its lease there is no turn of the event loop, and before it there is a lease without a pid: at
   * whatever moment the gateway is killed, its next start finds the process. One whose lease cannot be written is ended.
   */
  async #startLeased(spec: ReplicaSpec, prepared: Prepared, output: number): Promise<Started> {
    const { file, args, env, port, innerPorts, apiKey, logFile } = prepared;
    const { id, index, fingerprint, model } = spec;
    const lease = newLease({
      id,
      model: model.name,
      index,
      engine: model.engine,
      fingerprint,
      port,
      innerPorts,
      apiKey,
      logFile,
      gpus: [...(spec.gpus?.ids ?? [])],
      adapters: (spec.adapters ?? []).map(({ adapter, handle, path: at }) => ({ adapter, handle, path: at })),
    });
    this.#leases.write(lease);
    const started = start(file, args, env, output, this.#oom);
    try {
      if (started.pid === undefined) this.#leases.remove(id);
      else {
        const complete = { ...lease, process: identify(started.pid) };
        this.#leases.write(complete);
        this.#held.set(id, complete);
      }
    } catch (thrown) {
      signalGroup(started.pid, 'SIGKILL');
      await killFamily({ pgid: started.pid, replica: id }, () => false, this.#killDeps);
      this.#forget(id);
      throw thrown;
    }
    return started;
  }

  #own(run: Owned): EngineProcess {
    const family: Family = { pgid: run.pid, replica: run.id };
    this.#families.add(family);
    const onGone = (): void => {
      this.#families.delete(family);
      this.#ports.release(run.port, 1 + run.innerPorts);
      this.#forget(run.id);
    };
    const onRelease = (): void => {
      this.#families.delete(family);
      run.letGo();
    };
    const { pid, apiKey, logFile, exited, tail, adoptedAgeMs } = run;
    const upstream = `http://127.0.0.1:${run.port}`;
    const age = adoptedAgeMs === undefined ? {} : { adoptedAgeMs };
    return new EngineProcess({ upstream, apiKey, pid, logFile, family, exited, tail, ...this.#killDeps, onGone, onRelease, ...age });
  }

  get #killDeps(): KillDeps {
    return { census: this.#census, clock: this.#deps.clock, log: this.#deps.log };
  }

  /** A lease too many costs the next start a look at /proc; it must not fail the end of a replica. */
  #forget(id: string): void {
    this.#held.delete(id);
    try {
      this.#leases.remove(id);
    } catch (thrown) {
      this.#deps.log.warn({ err: thrown, replica: id }, 'the lease of a replica that is gone cannot be removed');
    }
  }

  async recover(): Promise<Recovered> {
    const { gone, unreadable, ...recovered } = await findFormer(this.#leases.read());
    for (const { id, reason } of unreadable) this.#deps.log.warn({ replica: id, reason }, 'a lease cannot be read; its replica is ended');
    for (const id of gone) this.#forget(id);
    return recovered;
  }

  async adopt(lease: Lease, watch: LogWatch): Promise<EngineProcess | undefined> {
    const { process: first, id, port, innerPorts, apiKey, logFile } = lease;
    const hold = first === undefined ? undefined : ProcessHold.take(first);
    if (first === undefined || hold === undefined) {
      await this.reap({ id, pgid: undefined });
      return undefined;
    }
    const { clock, log } = this.#deps;
    let tail: LogTail;
    try {
      tail = await this.#logs.follow(logFile, watch, 'recent');
    } catch (thrown) {
      log.warn({ err: thrown, replica: id }, 'the log of a running engine cannot be read; the engine is replaced');
      hold.close();
      await this.reap({ id, pgid: first.pid });
      return undefined;
    }
    this.#ports.reserve(port, 1 + innerPorts);
    this.#held.set(id, lease);
    const exited = untilEnded(hold, clock);
    const letGo = (): void => hold.close();
    return this.#own({ id, pid: first.pid, port, innerPorts, apiKey, logFile, tail, exited, adoptedAgeMs: ageMs(first), letGo });
  }

  async reap({ id, pgid }: Remains): Promise<void> {
    this.#deps.log.info({ replica: id }, 'ending what a former gateway left');
    await reapFamily({ pgid, replica: id }, this.#killDeps);
    this.#forget(id);
  }
}

/** A run from the moment its process exists. */
interface Owned extends Pick<Lease, 'id' | 'port' | 'innerPorts' | 'apiKey' | 'logFile'> {
  readonly pid: number;
  readonly tail: LogTail;
  readonly exited: Promise<Exit>;
  readonly adoptedAgeMs?: number;
  /** Stops waiting for its exit. */
  readonly letGo: () => void;
}
