import type { Engine } from '../plugins/engine-plugin.ts';
import type { LogCause } from './failure.ts';

/** What the log of one run has told so far. */
export class RunLog {
  readonly #engine: Engine;
  #phase = 'starting';
  #cause: LogCause | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get phase(): string {
    return this.#phase;
  }

  /** The first cause of a failure: later ones are its consequences. */
  get cause(): LogCause | undefined {
    return this.#cause;
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
        if (this.#cause !== undefined) return false;
        this.#cause = { cause: sign.cause, remedy: sign.remedy, permanent: sign.permanent, line };
        return true;
    }
  }

  /** Forgets causes: the engine became ready in spite of them. */
  pardon(): void {
    this.#cause = undefined;
  }
}
