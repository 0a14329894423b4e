import { noLimits } from '../../src/core/access.ts';
import { GatewayError } from '../../src/core/errors.ts';
import { modelName } from '../../src/core/ids.ts';
import { RateBoard } from '../../src/core/rate-board.ts';
import { emptyTable } from '../../src/core/table.ts';
import { Gate } from '../../src/gateway/auth/gate.ts';
import { Limiter } from '../../src/gateway/auth/limiter.ts';
import { keyAt, keyText } from './configured.ts';

/**
 * The least of so many blocks counts: other work on the machine only ever adds. (The clock of a thread's own CPU moves by whole ticks of the
 * kernel, some of which are as long as a block.)
 */
const blocks = 101;
const perBlock = 1000;

/** What is presented, and what becomes of it. */
export const presented = ['right', 'wrong from the start', 'wrong at the end', 'none'] as const;
export type Presented = (typeof presented)[number];

/** Nanoseconds in which the gate decides on one request, by what is presented; blocks of all kinds in turn, so that drift meets all. */
export function admissionCost(keys: number): Readonly<Record<Presented, number>> {
  const gate = new Gate({ keys: Array.from({ length: keys }, (_, at) => keyAt(at, noLimits)) }, () => 0);
  const values: Record<Presented, (at: number) => string | undefined> = {
    right: (at) => `Bearer ${keyText(at % keys)}`,
    'wrong from the start': (at) => `Bearer x${keyText(at % keys).slice(1)}`,
    'wrong at the end': (at) => `Bearer ${keyText(at % keys).slice(0, -1)}x`,
    none: () => undefined,
  };
  // Made before: the HTTP parser makes them for the gateway.
  const headers = new Map(
    presented.map((kind) => [
      kind,
      Array.from({ length: perBlock }, (_, at) => {
        const authorization = values[kind](at);
        return authorization === undefined ? {} : { authorization };
      }),
    ]),
  );
  const block = (kind: Presented): number => {
    const of = headers.get(kind) ?? [];
    let admitted = 0;
    const began = performance.now();
    for (const one of of) {
      try {
        gate.visible(emptyTable, gate.admit(one, ''));
        admitted += 1;
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error;
      }
    }
    const took = (performance.now() - began) * 1e6;
    if (admitted !== (kind === 'right' ? perBlock : 0))
      throw new Error(`${admitted} of ${perBlock} were admitted with a key that is ${kind}`);
    return took / perBlock;
  };
  for (const kind of presented) for (let warmUp = 0; warmUp < 30; warmUp += 1) block(kind);
  const samples = Array.from({ length: blocks }, () => presented.map((kind) => [kind, block(kind)] as const)).flat();
  const of = (kind: Presented): number => Math.min(...samples.filter(([of]) => of === kind).map(([, ns]) => ns));
  return Object.fromEntries(presented.map((kind) => [kind, of(kind)])) as Record<Presented, number>;
}

/** Nanoseconds in which a request takes its part of all three limits of a key and gives it back. */
export function limitCost(workers: number): number {
  const key = keyAt(0, { requestsPerMinute: 10_000_000, tokensPerMinute: 1_000_000_000, concurrency: 100 });
  const limiter = new Limiter(RateBoard.create(workers), 0);
  const model = modelName('m');
  const usage = Buffer.from(JSON.stringify({ model, usage: { total_tokens: 20 } }));
  const block = (): number => {
    const began = performance.now();
    for (let turn = 0; turn < perBlock; turn += 1) {
      const grant = limiter.grant(key, model, 1000, () => undefined);
      if (grant === undefined) throw new Error('a key with limits got no grant');
      grant.saw(usage);
      grant.end(false);
    }
    return ((performance.now() - began) * 1e6) / perBlock;
  };
  for (let warmUp = 0; warmUp < 30; warmUp += 1) block();
  return Math.min(...Array.from({ length: blocks }, block));
}
