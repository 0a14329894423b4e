import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pino from 'pino';
import { replaceFile } from './replace-file.ts';
import { learn, noStartTimes, remainingMs, startTimesSchema } from './start-times.ts';
import type { StartSubject, StartTimes } from './start-times.ts';

/** What starts took, kept over gateways where it is given a file. */
export class StartHistory {
  readonly #file: string | undefined;
  readonly #log: pino.Logger;
  #times: StartTimes;

  private constructor(file: string | undefined, log: pino.Logger, times: StartTimes) {
    this.#file = file;
    this.#log = log;
    this.#times = times;
  }

  /** That of a state directory; an empty one where there is none yet, or it says nothing to this version: it only helps to guess. */
  static open(stateDir: string, log: pino.Logger): StartHistory {
    const file = join(stateDir, 'start-times.json');
    try {
      return new StartHistory(file, log, startTimesSchema.parse(JSON.parse(readFileSync(file, 'utf8'))));
    } catch (thrown) {
      const isNew = (thrown as NodeJS.ErrnoException).code === 'ENOENT';
      if (!isNew) log.warn({ err: thrown, file }, 'what earlier starts took cannot be read and is forgotten');
      return new StartHistory(file, log, noStartTimes);
    }
  }

  /** One that is forgotten with the process. */
  static inMemory(log: pino.Logger): StartHistory {
    return new StartHistory(undefined, log, noStartTimes);
  }

  /** As the function of that name. */
  remainingMs(subject: StartSubject, phase: string, phaseForMs: number): number | undefined {
    return remainingMs(this.#times, subject, phase, phaseForMs);
  }

  /** As the function of that name; the file is replaced as a whole. */
  learn(subject: StartSubject, phases: ReadonlyMap<string, number>, readyAt: number): void {
    this.#times = learn(this.#times, subject, phases, readyAt);
    if (this.#file === undefined) return;
    try {
      replaceFile(this.#file, JSON.stringify(this.#times));
    } catch (thrown) {
      // A full disk must not cost a start.
      this.#log.warn({ err: thrown, file: this.#file }, 'what starts take cannot be kept');
    }
  }
}
