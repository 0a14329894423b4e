import type { Settings } from '../settings.ts';
import { Gate } from './gate.ts';

/** What becomes of a generation request as it arrives. */
export type Fate =
  | { readonly kind: 'serve' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'refuse'; readonly status: number }
  | { readonly kind: 'exit' };

/** The settings in force, and what is left of their countdowns. */
export class Faults {
  #settings: Settings;
  readonly #gate = new Gate();
  readonly #workers = new Gate();
  readonly #exit: () => void;
  #drops = 0;
  #refusals: readonly number[] = [];
  #requestsUntilHang = -1;
  #tokensUntilHang = -1;
  #requestsUntilExit = -1;
  #tokensUntilExit = -1;

  constructor(settings: Settings, exit: () => void) {
    this.#settings = settings;
    this.#exit = exit;
    this.apply(settings);
  }

  get settings(): Settings {
    return this.#settings;
  }

  get hung(): boolean {
    return this.#gate.closed || this.#workers.closed;
  }

  /** Changes some settings; the countdowns among them begin anew, all others go on. */
  apply(change: Partial<Settings>): void {
    this.#settings = { ...this.#settings, ...change };
    this.#drops = change.drop_before_headers ?? this.#drops;
    this.#refusals = change.refuse ?? this.#refusals;
    this.#requestsUntilExit = change.exit_after_requests ?? this.#requestsUntilExit;
    this.#tokensUntilExit = change.exit_after_tokens ?? this.#tokensUntilExit;
    if (change.hang_after_requests === undefined && change.hang_after_tokens === undefined) return;
    this.#requestsUntilHang = change.hang_after_requests ?? this.#requestsUntilHang;
    this.#tokensUntilHang = change.hang_after_tokens ?? this.#tokensUntilHang;
    // Setting a hang countdown anew also ends a hang.
    this.#gate.open();
    if (this.#tokensUntilHang === 0) this.hang();
  }

  /** Stops every reply, begun or not, until the hang settings are changed. */
  hang(): void {
    this.#gate.close();
  }

  /** Stops every reply while a worker does not take part in its step, and goes on when it does. */
  stall(stalled: boolean): void {
    if (stalled) this.#workers.close();
    else this.#workers.open();
  }

  /** Waits while the engine hangs. @throws `signal.reason` */
  async pass(signal: AbortSignal): Promise<void> {
    await this.#gate.pass(signal);
    await this.#workers.pass(signal);
  }

  requestArrived(): Fate {
    if (this.#requestsUntilExit === 0) return { kind: 'exit' };
    this.#requestsUntilExit -= this.#requestsUntilExit > 0 ? 1 : 0;
    if (this.#drops > 0) {
      this.#drops -= 1;
      return { kind: 'drop' };
    }
    const [refusal, ...laterRefusals] = this.#refusals;
    this.#refusals = laterRefusals;
    if (refusal !== undefined) return { kind: 'refuse', status: refusal };
    if (this.#settings.refuse_all !== 0) return { kind: 'refuse', status: this.#settings.refuse_all };
    if (this.#requestsUntilHang === 0) this.hang();
    this.#requestsUntilHang -= this.#requestsUntilHang > 0 ? 1 : 0;
    return { kind: 'serve' };
  }

  /** To be called after each token is on its way. */
  tokenSent(): void {
    if (this.#tokensUntilExit > 0) {
      this.#tokensUntilExit -= 1;
      if (this.#tokensUntilExit === 0) this.#exit();
    }
    if (this.#tokensUntilHang > 0) {
      this.#tokensUntilHang -= 1;
      if (this.#tokensUntilHang === 0) this.hang();
    }
  }
}
