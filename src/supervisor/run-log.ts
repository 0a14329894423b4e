import type { Engine } from '../plugins/engine-plugin.ts';
import type { Clock } from '../core/clock.ts';
import type { LogCause } from './failure.ts';

/** How long after a cause, while the engine serves, another one is taken for its consequence. */
const consequencesMs = 60_000;

/** What the log of one run has told so far. */
export class RunLog {
  readonly #engine: Engine;
  #phase = 'starting';
  #served = false;
  readonly #clock: Clock;
  #cause: { readonly told: LogCause; readonly at: number } | undefined;

  constructor(engine: Engine, clock: Clock) {
    this.#engine = engine;
    this.#clock = clock;
  }

  get phase(): string {
    return this.#phase;
  }

  /** The first cause of the last failure: those soon after it are its consequences, a much older one was survived. */
  get cause(): LogCause | undefined {
    return this.#cause?.told;
  }

  /** Returns whether the line told something new. */
  read(line: string): boolean {
    const sign = this.#engine.readLog(line);
    switch (sign?.kind) {
      case undefined:
        return false;
      case 'phase': {
        const changed = sign.phase !== this.#phase;
        this.#phase = sign.phase;
        return changed;
      }
      case 'cause':
        return this.#blame({ cause: sign.cause, remedy: sign.remedy, permanent: sign.permanent, line });
    }
  }

  #blame(told: LogCause): boolean {
    const at = this.#clock.now();
    const survived = this.#served && this.#cause !== undefined && at - this.#cause.at >= consequencesMs;
    if (this.#cause !== undefined && !survived) return false;
    this.#cause = { told, at };
    return true;
  }

  /** Forgets causes: the engine became ready in spite of them. */
  pardon(): void {
    this.#served = true;
    this.#cause = undefined;
  }
}
