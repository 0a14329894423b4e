import type { GatewaySettings } from '../core/messages.ts';
import type { ModelLimits } from '../core/table.ts';

/** What is known of a request at one moment; times in milliseconds of one clock. */
export interface Quiet {
  /** When the client stopped reading what was written; undefined while it keeps up. */
  readonly stalledAt: number | undefined;
  /** When the engine that has the request last said something, or got it; undefined while none has it. */
  readonly engineSince: number | undefined;
  /** Whether the reply of that engine has begun. */
  readonly replying: boolean;
  /** Whether the client can be sent comments: it asked for a stream. */
  readonly stream: boolean;
  /** When the client was last sent something. */
  readonly sentAt: number;
}

/** What has been silent for too long, if anything. */
export type SilenceVerdict =
  | { readonly kind: 'patience' }
  | { readonly kind: 'heartbeat' }
  | { readonly kind: 'client-stalled' }
  /** `limit`: the key of the config that was reached. */
  | { readonly kind: 'engine-silent'; readonly silentMs: number; readonly limit: string };

const patience: SilenceVerdict = { kind: 'patience' };

/** While the client does not read, the engine is held back, and its silence shows nothing. */
export function judgeSilence(quiet: Quiet, now: number, limits: ModelLimits, client: GatewaySettings['client']): SilenceVerdict {
  const { stalledAt, engineSince, replying, stream, sentAt } = quiet;
  if (stalledAt !== undefined) return now - stalledAt >= client.writeStallMs ? { kind: 'client-stalled' } : patience;
  if (engineSince !== undefined) {
    const silentMs = now - engineSince;
    if (silentMs >= (replying ? limits.idleTimeoutMs : limits.firstByteTimeoutMs))
      return { kind: 'engine-silent', silentMs, limit: replying ? 'gateway.timeouts.idle_s' : 'gateway.timeouts.first_byte_s' };
  }
  return stream && now - sentAt >= client.heartbeatMs ? { kind: 'heartbeat' } : patience;
}
