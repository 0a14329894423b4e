import type { Engine } from '../plugins/engine-plugin.ts';
import type { Clock } from '../core/clock.ts';
import type { LogCause } from './failure.ts';

/** How long after a cause, while the engine serves, another one is taken for its consequence. */
const consequencesMs = 60_000;

/** What a run is in that has said nothing yet. */
export const firstPhase = 'starting';

/** What the log of one run has told so far. */
export class RunLog {
  readonly #engine: Engine;
  readonly #phases: Map<string, number>;
  #phase = firstPhase;
  #next = Promise.withResolvers<void>();
  #served = false;
  readonly #clock: Clock;
  #cause: { readonly told: LogCause; readonly at: number } | undefined;

  constructor(engine: Engine, clock: Clock) {
    this.#engine = engine;
    this.#clock = clock;
    this.#phases = new Map([[firstPhase, clock.now()]]);
  }

  get phase(): string {
    return this.#phase;
  }

  /** When the engine first said so, by phase; the time before it says anything is a phase too. */
  get phases(): ReadonlyMap<string, number> {
    return this.#phases;
  }

  /** Resolves once it is in a phase that it has not been in before. */
  nextPhase(): Promise<void> {
    return this.#next.promise;
  }

  /** Milliseconds since it first was in its phase. */
  get phaseForMs(): number {
    return this.#clock.now() - (this.#phases.get(this.#phase) ?? this.#clock.now());
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
        if (!this.#phases.has(sign.phase)) this.#enter(sign.phase);
        return changed;
      }
      case 'cause': {
        const { cause, topic, remedy, permanent } = sign;
        return this.#blame({ cause, remedy, permanent, line, ...(topic === undefined ? {} : { topic }) });
      }
    }
  }

  #enter(phase: string): void {
    this.#phases.set(phase, this.#clock.now());
    this.#next.resolve();
    this.#next = Promise.withResolvers();
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
