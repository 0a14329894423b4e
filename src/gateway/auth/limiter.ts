import type { AccessKey, KeyLimits } from '../../core/access.ts';
import { GatewayError } from '../../core/errors.ts';
import type { ModelName } from '../../core/ids.ts';
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

/** One of the budgets that a request draws on. */
interface Part {
  readonly seat: number;
  readonly limits: KeyLimits;
  /** Of which model it is; undefined: of the key, for all of them. */
  readonly model: ModelName | undefined;
}

/** Holds keys to their limits, in one worker. */
export class Limiter {
  readonly #board: RateBoard;
  readonly #worker: number;
  readonly #used: ((key: AccessKey, tokens: number) => void) | undefined;

  /** @param used is told, at the end of each request with a key, how many tokens it used; undefined: those of keys without limits are not counted */
  constructor(board: RateBoard, worker: number, used?: (key: AccessKey, tokens: number) => void) {
    this.#board = board;
    this.#worker = worker;
    this.#used = used;
  }

  /**
   * What a request takes of its key's limits, and of those that the key has for its model; undefined where it has none. All or nothing.
   * @param tell gets the headers that say what is left of the tighter one, also before a refusal
   * @throws GatewayError `rate_limited`
   */
  grant(key: AccessKey | undefined, model: ModelName, bodyBytes: number, tell: (headers: readonly string[]) => void): Grant | undefined {
    if (key === undefined) return undefined;
    const parts = partsOf(key, model);
    const used = this.#used;
    if (parts.length === 0 && used === undefined) return undefined;
    const promptTokens = Math.ceil(bodyBytes / bytesPerToken);
    const rates: Rates = {};
    const undo: (() => void)[] = [];
    for (const part of parts) {
      const refused = this.#take(key.name, part, promptTokens, rates, undo);
      if (refused === undefined) continue;
      for (const step of undo) step();
      if (refused.byRate) tell(rateHeaders(rates));
      throw refused.error;
    }
    const metered = used !== undefined || parts.some(({ limits }) => limits.tokensPerMinute !== undefined);
    return new Grant(rateHeaders(rates), metered, (meter, abandoned) => {
      const tokens = meter?.total(promptTokens, abandoned) ?? 0;
      for (const part of parts) this.#end(part, promptTokens, tokens);
      used?.(key, tokens);
    });
  }

  /** Takes what one budget must give. @param undo gets what gives it back @returns why it cannot */
  #take(
    name: string,
    part: Part,
    promptTokens: number,
    rates: Rates,
    undo: (() => void)[],
  ): { readonly error: GatewayError; readonly byRate: boolean } | undefined {
    const { seat, limits } = part;
    const { concurrency, requestsPerMinute, tokensPerMinute } = limits;
    if (concurrency !== undefined) {
      if (!this.#board.enter(this.#worker, seat, concurrency))
        return { error: limited(name, part, `${concurrency} requests at a time`, busyRetryMs), byRate: false };
      undo.push(() => this.#board.leave(this.#worker, seat));
    }
    for (const [kind, cost, limit] of [
      ['requests', 1, requestsPerMinute],
      ['tokens', reservedOf(part, promptTokens), tokensPerMinute],
    ] as const) {
      if (limit === undefined) continue;
      const taken = this.#board.take(seat, kind, cost, limit);
      const tighter = rates[kind];
      if (tighter === undefined || taken.remaining <= tighter.remaining || taken.kind !== 'taken')
        rates[kind] = { limit, remaining: taken.remaining, resetMs: taken.resetMs };
      if (taken.kind !== 'taken') return { error: limited(name, part, `${limit} ${kind} a minute`, taken.retryMs), byRate: true };
      undo.push(() => this.#board.settle(seat, kind, -cost, limit));
    }
    return undefined;
  }

  #end(part: Part, promptTokens: number, tokens: number): void {
    const { seat, limits } = part;
    if (limits.concurrency !== undefined) this.#board.leave(this.#worker, seat);
    const { tokensPerMinute } = limits;
    if (tokensPerMinute !== undefined) this.#board.settle(seat, 'tokens', tokens - reservedOf(part, promptTokens), tokensPerMinute);
  }
}

/** One that is larger than a minute's worth waits for a full bucket. */
function reservedOf({ limits }: Part, promptTokens: number): number {
  return Math.min(promptTokens, limits.tokensPerMinute ?? 0);
}

const none: readonly Part[] = [];

function partsOf({ seat, limits, ofModels }: AccessKey, model: ModelName): readonly Part[] {
  const own = seat === undefined ? none : [{ seat, limits, model: undefined }];
  const budget = ofModels?.get(model);
  return budget?.seat === undefined ? own : [...own, { seat: budget.seat, limits: budget.limits, model }];
}

function limited(name: string, { model }: Part, what: string, retryMs: number): GatewayError {
  const of = model === undefined ? '' : ` of the model '${model}'`;
  return new GatewayError('rate_limited', `The key '${name}' is limited to ${what}${of}; try again in ${durationOf(retryMs)}.`, {
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
