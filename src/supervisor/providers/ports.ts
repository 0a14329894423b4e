import { createServer } from 'node:net';
import { GatewayError } from '../../core/errors.ts';

/** Whether nobody listens on a port of 127.0.0.1 or of all addresses. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

const rowOf = (first: number, count: number): readonly number[] => Array.from({ length: count }, (_, at) => first + at);

/**
 * Ports for engines: out of a range, at random, so that two gateways on one host seldom try the same; never one that is in use, by us
 * or by others, at the time of asking.
 */
export class Ports {
  readonly #first: number;
  readonly #count: number;
  readonly #random: () => number;
  readonly #isFree: (port: number) => Promise<boolean>;
  readonly #ours = new Set<number>();

  constructor(range: { readonly first: number; readonly count: number }, random: () => number, free = isFree) {
    this.#first = range.first;
    this.#count = range.count;
    this.#random = random;
    this.#isFree = free;
  }

  /**
   * The first of `count` ports in a row.
   * @throws GatewayError `start_failed` when the range has none that are free.
   */
  async take(count: number): Promise<number> {
    const places = Math.max(0, this.#count - count + 1);
    const start = Math.floor(this.#random() * places);
    for (let offset = 0; offset < places; offset += 1) {
      const first = this.#first + ((start + offset) % places);
      const row = rowOf(first, count);
      if (row.some((port) => this.#ours.has(port))) continue;
      // Taken before it is checked: another launch may ask while we wait.
      this.reserve(first, count);
      if ((await Promise.all(row.map(this.#isFree))).every(Boolean)) return first;
      this.release(first, count);
    }
    const last = this.#first + this.#count - 1;
    const wanted = count === 1 ? 'no free port' : `no ${count} free ports in a row`;
    throw new GatewayError('start_failed', `${wanted} for an engine between ${this.#first} and ${last} (gateway.engine_ports)`);
  }

  /** Keeps ports from being given away: an engine that was adopted has them. */
  reserve(first: number, count: number): void {
    for (const port of rowOf(first, count)) this.#ours.add(port);
  }

  release(first: number, count: number): void {
    for (const port of rowOf(first, count)) this.#ours.delete(port);
  }
}
