import { TokenMeter } from './token-meter.ts';

/** What one request took of its key's limits, until its end. */
export class Grant {
  /** Names and values, alternately: what was left of the limits when it was granted. */
  readonly headers: readonly string[];
  readonly #meter: TokenMeter | undefined;
  readonly #giveBack: (meter: TokenMeter | undefined, abandoned: boolean) => void;

  /** @param metered whether the reply's tokens count @param giveBack called once, at the end */
  constructor(headers: readonly string[], metered: boolean, giveBack: (meter: TokenMeter | undefined, abandoned: boolean) => void) {
    this.headers = headers;
    this.#meter = metered ? new TokenMeter() : undefined;
    this.#giveBack = giveBack;
  }

  /** Bytes of the engine's reply, as they come. */
  saw(chunk: Buffer): void {
    this.#meter?.saw(chunk);
  }

  /** To be called once. @param abandoned whether the client left: what the engine did until then is not free */
  end(abandoned: boolean): void {
    this.#giveBack(this.#meter, abandoned);
  }
}
