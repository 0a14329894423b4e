import { GatewayError } from '../core/errors.ts';
import type { ModelName } from '../core/ids.ts';
import type { NormalizedRequest } from '../core/request.ts';
import type { ModelEntry } from '../core/table.ts';

/** Retry-After where nothing tells when a replica will be there. */
const unknownEtaMs = 5000;
const fullQueueEtaMs = 1000;

/** What is left of an estimate after `ageMs`; undefined once it has proved wrong. */
export function etaLeft(etaMs: number | undefined, ageMs: number): number | undefined {
  return etaMs === undefined || etaMs <= ageMs ? undefined : etaMs - ageMs;
}

export function removedWhileWaiting({ requestedModel }: NormalizedRequest): GatewayError {
  return new GatewayError('model_not_found', `The model '${requestedModel}' was removed while the request waited.`, { param: 'model' });
}

export function queueFull(model: ModelName, { limits }: ModelEntry, etaMs: number | undefined): GatewayError {
  return new GatewayError('overloaded', `${limits.maxWaiting} requests wait for '${model}' already (max_queued_requests).`, {
    retryAfterS: (etaMs ?? fullQueueEtaMs) / 1000,
  });
}

function lastFailure({ status: { error } }: ModelEntry): string {
  return error === undefined ? '' : ` Last failure: ${error.message}`;
}

export function cannotStart(model: ModelName, entry: ModelEntry, etaMs: number | undefined): GatewayError {
  const message = `The model '${model}' cannot start.${lastFailure(entry)}`;
  return new GatewayError('start_failed', message, { retryAfterS: (etaMs ?? unknownEtaMs) / 1000 });
}

export function waitedTooLong(model: ModelName, entry: ModelEntry, etaMs: number | undefined, waitedMs: number): GatewayError {
  const { phase } = entry.status;
  const message = `No replica of '${model}' took the request within ${Math.round(waitedMs / 1000)} s (state: ${phase}).${lastFailure(entry)}`;
  return new GatewayError('wait_timeout', message, { retryAfterS: (etaMs ?? unknownEtaMs) / 1000 });
}

/** `limit`: the key of the config that was reached. */
export function silentTooLong(model: ModelName, silentMs: number, limit: string): GatewayError {
  return new GatewayError('upstream_timeout', `The engine of '${model}' sent nothing for ${Math.round(silentMs / 1000)} s (${limit}).`);
}

/** What a heartbeat tells a client whose request no replica has taken yet. */
export function waitingFor({ status: { phase } }: ModelEntry, etaMs: number | undefined): string {
  const eta = etaMs === undefined ? '' : `, about ${Math.ceil(etaMs / 1000)} s`;
  return `waiting for a replica (${phase}${eta})`;
}
