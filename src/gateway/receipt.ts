import type { ReplicaView } from '../core/table.ts';
import type { RouteReason } from './route.ts';

const noWait: readonly never[] = [];

const dur = (name: string, ms: number): string => `${name};dur=${ms.toFixed(2)}`;

/** What a request waits for before a replica has it for good. */
export type WaitPhase = 'queue' | 'cold' | 'retry';

/**
 * Where the time of one request went until its reply began, in milliseconds of the worker's clock: waiting for a place (`queue`), waiting
 * for a model that had no replica (`cold`), replicas that failed it (`retry`), the gateway's own work (`route`), the engine (`upstream`).
 */
export class Receipt {
  readonly #acceptedAt: number;
  #queueMs = 0;
  #coldMs = 0;
  #retryMs = 0;
  #waiting: { readonly since: number; readonly cold: boolean } | undefined;
  /** Its place in the queue when it came, from 1; 0: it never waited. */
  #position = 0;
  #routedAt: number | undefined;
  #picked: { readonly replica: ReplicaView; readonly reason: RouteReason } | undefined;

  constructor(acceptedAt: number) {
    this.#acceptedAt = acceptedAt;
  }

  waits(now: number, cold: boolean, position: number): void {
    this.#waiting ??= { since: now, cold };
    if (this.#position === 0) this.#position = position;
  }

  routed(now: number, replica: ReplicaView, reason: RouteReason): void {
    if (this.#waiting !== undefined) {
      const waited = now - this.#waiting.since;
      if (this.#waiting.cold) this.#coldMs += waited;
      else this.#queueMs += waited;
      this.#waiting = undefined;
    }
    this.#routedAt = now;
    this.#picked = { replica, reason };
  }

  /** The replica that it was routed to has failed it. */
  failed(now: number): void {
    if (this.#routedAt !== undefined) this.#retryMs += now - this.#routedAt;
  }

  /** The gateway's own work; undefined while no replica has got the request. */
  get overheadMs(): number | undefined {
    if (this.#routedAt === undefined) return undefined;
    return Math.max(0, this.#routedAt - this.#acceptedAt - this.#queueMs - this.#coldMs - this.#retryMs);
  }

  /** What it waited for, and how long, of what took any time. */
  waitedMs(): readonly (readonly [WaitPhase, number])[] {
    if (this.#queueMs + this.#coldMs + this.#retryMs === 0) return noWait;
    const all: readonly (readonly [WaitPhase, number])[] = [
      ['queue', this.#queueMs],
      ['cold', this.#coldMs],
      ['retry', this.#retryMs],
    ];
    return all.filter(([, ms]) => ms > 0);
  }

  /** Names and values, alternately. `debug`: also which replica, and why. */
  headers(now: number, debug: boolean): string[] {
    const upstreamMs = now - (this.#routedAt ?? now);
    const timing = [
      dur('queue', this.#queueMs),
      dur('route', this.overheadMs ?? 0),
      dur('cold', this.#coldMs),
      ...(this.#retryMs > 0 ? [dur('retry', this.#retryMs)] : []),
      dur('upstream', upstreamMs),
    ];
    const headers = ['server-timing', timing.join(', ')];
    if (this.#position > 0) {
      headers.push('x-gateway-queue-position', String(this.#position));
      headers.push('x-gateway-queue-wait-ms', String(Math.round(this.#queueMs + this.#coldMs)));
    }
    if (debug && this.#picked !== undefined) {
      headers.push('x-gateway-replica', this.#picked.replica.id, 'x-gateway-reason', this.#picked.reason);
    }
    return headers;
  }
}
