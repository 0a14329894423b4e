import { createServer } from 'node:net';
import { GatewayError } from '../../core/errors.ts';

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * Ports for engines: out of a range, at random, so that two gateways on one host seldom try the same; never one that is in use, by us
 * or by others, at the time of asking.
 */
export class Ports {
  readonly #first: number;
  readonly #count: number;
  readonly #random: () => number;
  readonly #ours = new Set<number>();

  constructor(range: { readonly first: number; readonly count: number }, random: () => number) {
    this.#first = range.first;
    this.#count = range.count;
    this.#random = random;
  }

  /** @throws GatewayError `start_failed` when no port of the range is free. */
  async take(): Promise<number> {
    const start = Math.floor(this.#random() * this.#count);
    for (let offset = 0; offset < this.#count; offset += 1) {
      const port = this.#first + ((start + offset) % this.#count);
      if (this.#ours.has(port)) continue;
      // Taken before it is checked: another launch may ask while we wait.
      this.#ours.add(port);
      if (await isFree(port)) return port;
      this.#ours.delete(port);
    }
    const last = this.#first + this.#count - 1;
    throw new GatewayError('start_failed', `no free port for an engine between ${this.#first} and ${last} (gateway.engine_ports)`);
  }

  /** Keeps a port from being given away: an engine that was adopted has it. */
  reserve(port: number): void {
    this.#ours.add(port);
  }

  release(port: number): void {
    this.#ours.delete(port);
  }
}
