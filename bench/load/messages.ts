import type { BodyName, StreamOrder } from './bodies.ts';

/** One order at a time; each is answered by one message. */
export type ToGenerator =
  /** Each connection sends its next request when the last is answered, for `durationMs`. */
  | {
      readonly kind: 'closed-loop';
      readonly port: number;
      readonly body: BodyName;
      readonly connections: number;
      readonly durationMs: number;
    }
  /** One request at a time, to each port in turn, `count` times. */
  | { readonly kind: 'latency'; readonly ports: readonly number[]; readonly body: BodyName; readonly count: number }
  /** One stream at a time, to each port in turn, `count` times: how long until its first event. */
  | { readonly kind: 'first-events'; readonly ports: readonly number[]; readonly count: number }
  /** Answered when every stream has had its first event; they stay open. */
  | { readonly kind: 'open-streams'; readonly port: number; readonly streams: number; readonly order: StreamOrder }
  | { readonly kind: 'count-events' }
  | { readonly kind: 'close-streams' };

export type FromGenerator =
  | { readonly kind: 'requests'; readonly answered: number; readonly elapsedMs: number; readonly failures: readonly string[] }
  /** Milliseconds until the last byte of each request, or until the first event of each stream; by port in the order asked. */
  | { readonly kind: 'latencies'; readonly ms: readonly (readonly number[])[]; readonly failures: readonly string[] }
  | { readonly kind: 'events'; readonly events: number; readonly failures: readonly string[] };
