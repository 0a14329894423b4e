import type { AccessKey } from '../../core/access.ts';
import { GatewayError } from '../../core/errors.ts';
import type { RateBoard, RateKind } from '../../core/rate-board.ts';
import type { Rate } from '../../core/token-buckets.ts';
import { durationOf } from './duration.ts';
import { Grant } from './grant.ts';

/** A prompt's tokens are estimated by its bytes: no tokenizer is as cheap, and the engine's own count replaces it in the end. */
const bytesPerToken = 4;
/** When a request at work ends nobody knows. */
const busyRetryMs = 1000;

/** What a grant, or a refusal, tells the client of each of its rates. */
export type Rates = Partial<Record<RateKind, Rate & { readonly limit: number }>>;

/** Holds keys to their limits, in one worker. */
export class Limiter {
  readonly #board: RateBoard;
  readonly #worker: number;

  constructor(board: RateBoard, worker: number) {
    this.#board = board;
    this.#worker = worker;
  }

  /**
   * What a request takes of its key's limits; undefined where it has none. All or nothing.
   * @param tell gets the headers that say what is left, also before a refusal
   * @throws GatewayError `rate_limited`
   */
  grant(key: AccessKey | undefined, bodyBytes: number, tell: (headers: readonly string[]) => void): Grant | undefined {
    const { seat, limits } = key ?? {};
    if (key === undefined || seat === undefined || limits === undefined) return undefined;
    const { concurrency, requestsPerMinute, tokensPerMinute } = limits;
    if (concurrency !== undefined && !this.#board.enter(this.#worker, seat, concurrency))
      throw limited(key, `${concurrency} requests at a time`, busyRetryMs);
    const promptTokens = Math.ceil(bodyBytes / bytesPerToken);
    // One that is larger than a minute's worth waits for a full bucket.
    const reserved = Math.min(promptTokens, tokensPerMinute ?? 0);
    const undo: (() => void)[] = concurrency === undefined ? [] : [() => this.#board.leave(this.#worker, seat)];
    const rates: Rates = {};
    const take = (kind: RateKind, cost: number, limit: number | undefined): void => {
      if (limit === undefined) return;
      const taken = this.#board.take(seat, kind, cost, limit);
      rates[kind] = { limit, remaining: taken.remaining, resetMs: taken.resetMs };
      if (taken.kind === 'taken') {
        undo.push(() => this.#board.settle(seat, kind, -cost, limit));
        return;
      }
      for (const step of undo) step();
      tell(rateHeaders(rates));
      throw limited(key, `${limit} ${kind} a minute`, taken.retryMs);
    };
    take('requests', 1, requestsPerMinute);
    take('tokens', reserved, tokensPerMinute);
    return new Grant(rateHeaders(rates), tokensPerMinute !== undefined, (meter, abandoned) => {
      if (concurrency !== undefined) this.#board.leave(this.#worker, seat);
      if (tokensPerMinute !== undefined && meter !== undefined)
        this.#board.settle(seat, 'tokens', meter.total(promptTokens, abandoned) - reserved, tokensPerMinute);
    });
  }
}

function limited({ name }: AccessKey, what: string, retryMs: number): GatewayError {
  return new GatewayError('rate_limited', `The key '${name}' is limited to ${what}; try again in ${durationOf(retryMs)}.`, {
    retryAfterS: retryMs / 1000,
  });
}

/** OpenAI's headers, names and values alternately. */
function rateHeaders(rates: Rates): string[] {
  return Object.entries(rates).flatMap(([kind, { limit, remaining, resetMs }]) => [
    `x-ratelimit-limit-${kind}`,
    String(limit),
    `x-ratelimit-remaining-${kind}`,
    String(remaining),
    `x-ratelimit-reset-${kind}`,
    durationOf(resetMs),
  ]);
}
