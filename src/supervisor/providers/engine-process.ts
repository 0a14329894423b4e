import type { LogLoss, LogTail } from './log-tail.ts';
import { killFamily } from './kill-family.ts';
import type { KillDeps } from './kill-family.ts';
import { listenerOf } from './listener.ts';
import { signalProcess } from './processes.ts';
import type { Family } from './processes.ts';
import type { Exit, Listener, ReplicaHandle } from './provider.ts';

/** What the rest of a group may use of the grace once its first process has ended. */
const orphanGraceMs = 2_000;
/** Between two looks at whether they have ended. */
const lookMs = 20;

export interface ProcessFacts extends Pick<ReplicaHandle, 'upstream' | 'apiKey' | 'adoptedAgeMs'>, KillDeps {
  readonly pid: number;
  readonly logFile: string;
  readonly family: Family;
  readonly exited: Promise<Exit>;
  readonly tail: LogTail;
  /** Called once, when no process is left. */
  readonly onGone: () => void;
  /** Stops waiting for its exit. */
  readonly onRelease: () => void;
}

/** What ends a wait. Without a reason of ours each would be made anew, with a trace of the stack, while a crowd of engines ends. */
const lookAgain = new Error('its end has come, or is due earlier');

/** A running engine: its first process, and all that came of it. */
export class EngineProcess implements ReplicaHandle {
  readonly upstream: string;
  readonly apiKey: string;
  readonly pid: number;
  readonly logFile: string;
  readonly adoptedAgeMs?: number;
  readonly exited: Promise<Exit>;
  readonly #facts: ProcessFacts;
  #alive = true;
  /** When SIGKILL is due. */
  #killAt = Number.POSITIVE_INFINITY;
  #wake = new AbortController();
  #ending: Promise<Exit> | undefined;

  constructor(facts: ProcessFacts) {
    this.#facts = facts;
    this.upstream = facts.upstream;
    this.apiKey = facts.apiKey;
    this.pid = facts.pid;
    this.logFile = facts.logFile;
    if (facts.adoptedAgeMs !== undefined) this.adoptedAgeMs = facts.adoptedAgeMs;
    this.exited = facts.exited.then((exit) => {
      this.#alive = false;
      this.#wake.abort(lookAgain);
      return exit;
    });
  }

  tail(): readonly string[] {
    return this.#facts.tail.lines();
  }

  logLoss(): LogLoss {
    return this.#facts.tail.loss;
  }

  listener(): Promise<Listener> {
    const { census, family } = this.#facts;
    return listenerOf(Number(new URL(this.upstream).port), this.pid, () => census.livingMembers(family));
  }

  release(): void {
    this.#facts.onRelease();
    // It never rejects, and nobody needs to wait for the last lines to be read.
    void this.#facts.tail.close();
  }

  stop(graceMs: number): Promise<Exit> {
    const killAt = this.#facts.clock.now() + graceMs;
    if (killAt < this.#killAt) {
      this.#killAt = killAt;
      this.#wake.abort(lookAgain);
    }
    this.#ending ??= this.#end(graceMs > 0);
    return this.#ending;
  }

  async #end(polite: boolean): Promise<Exit> {
    const { family, log } = this.#facts;
    const escaped = new Set<number>();
    if (polite && this.#alive) {
      // To the first process alone: engines end their own children in an order that a signal to all would upset.
      signalProcess(this.pid, 'SIGTERM');
      await this.#waitUntil(() => !this.#alive);
      if (!this.#alive) await this.#dismissOrphans(escaped);
    }
    for (const pid of await killFamily(family, () => this.#alive, this.#facts)) escaped.add(pid);
    if (escaped.size > 0)
      log.warn({ replica: family.replica, pids: [...escaped] }, 'processes of a replica had left its group; they were ended too');
    const exit = await this.exited;
    await this.#facts.tail.close();
    this.#facts.onGone();
    return escaped.size === 0 ? exit : { ...exit, escaped: escaped.size };
  }

  /** Waits for `over`, until SIGKILL is due at the latest. */
  async #waitUntil(over: () => boolean): Promise<void> {
    while (!over()) {
      const left = this.#killAt - this.#facts.clock.now();
      if (left <= 0) return;
      this.#wake = new AbortController();
      // Aborted by an earlier deadline or by the exit: look again at both.
      await this.#facts.clock.sleep(left, this.#wake.signal).catch(() => undefined);
    }
  }

  /** Asks what the first process left behind, wherever it is, to end as well. */
  async #dismissOrphans(escaped: Set<number>): Promise<void> {
    const { census, clock, family } = this.#facts;
    this.#killAt = Math.min(this.#killAt, clock.now() + orphanGraceMs);
    let members = await census.membersOf(family);
    for (const member of members) {
      signalProcess(member.pid, 'SIGTERM');
      if (member.escaped) escaped.add(member.pid);
    }
    while (members.length > 0 && clock.now() < this.#killAt) {
      await clock.sleep(lookMs);
      members = await census.membersOf(family);
    }
  }
}
