import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { GatewayError, messageOf } from '../../core/errors.ts';
import type { ReplicaId } from '../../core/ids.ts';
import { isLogOfSameReplica } from '../replica-id.ts';
import { defaultTailLimits, LogTail } from './log-tail.ts';
import type { LogWatch } from './provider.ts';

/** Logs of former runs that are kept, for each replica. */
const logsKept = 5;

/** The log files of a state directory, and who follows them. */
export class EngineLogs {
  readonly #dir: string;
  readonly #clock: Clock;
  readonly #tails = new Set<LogTail>();

  constructor(stateDir: string, clock: Clock) {
    this.#dir = join(stateDir, 'logs');
    this.#clock = clock;
  }

  /** Where a new run writes its log. @throws GatewayError `state_unusable`. */
  async place(id: ReplicaId): Promise<string> {
    try {
      await mkdir(this.#dir, { recursive: true, mode: 0o700 });
      await this.#prune(id);
    } catch (thrown) {
      throw new GatewayError('state_unusable', `${this.#dir}: cannot be used for the engines' logs: ${messageOf(thrown)}`, {
        cause: thrown,
      });
    }
    return join(this.#dir, `${id}.log`);
  }

  /** As `LogTail.open()`. */
  async follow(file: string, watch: LogWatch, from: 'start' | 'recent' = 'start'): Promise<LogTail> {
    const tail = await LogTail.open(file, this.#clock, watch, defaultTailLimits, from);
    for (const other of this.#tails) if (other.closed) this.#tails.delete(other);
    this.#tails.add(tail);
    return tail;
  }

  /** As `LogTail.makeRoom()`, of all that are followed; whether one has made some. */
  async makeRoom(): Promise<boolean> {
    const made = await Promise.all([...this.#tails].map((tail) => tail.makeRoom()));
    return made.includes(true);
  }

  /** Every start has a log of its own; of a crash loop only the last few are worth keeping. */
  async #prune(id: ReplicaId): Promise<void> {
    const files = (await readdir(this.#dir)).filter((file) => isLogOfSameReplica(id, file)).map((file) => join(this.#dir, file));
    if (files.length <= logsKept) return;
    const dated = await Promise.all(files.map(async (file) => ({ file, time: (await stat(file)).mtimeMs })));
    const old = dated.sort((a, b) => b.time - a.time).slice(logsKept);
    await Promise.all(old.map(({ file }) => rm(file, { force: true })));
  }
}
