import { randomUUID } from 'node:crypto';
import { GatewayError } from '../core/errors.ts';
import type { NormalizedRequest } from '../core/request.ts';
import type { Capabilities, ReplicaView, UnsupportedParams } from '../core/table.ts';
import type { Dialect, EngineRequest } from '../plugins/engine-plugin.ts';
import type { ReplyMender } from '../plugins/reply-mend.ts';

/** One attempt of a request in its engine's words. */
export interface EngineCall {
  readonly dialect: Dialect;
  readonly request: EngineRequest;
  readonly mender: ReplyMender | undefined;
  /** What tells the engine to stop working on it; undefined where closing the connection is enough. */
  readonly abort: EngineRequest | undefined;
}

/** Whom a call is for. */
export interface CallTarget {
  readonly dialect: Dialect | undefined;
  readonly engine: string;
  readonly policy: UnsupportedParams;
  /** Handle of the adapter that is to answer. */
  readonly adapter: string | undefined;
  readonly can: Capabilities | undefined;
}

/** @throws GatewayError `param_unsupported` where the model's policy is to reject; what the dialect refuses. */
export function prepareCall({ dialect, engine, policy, adapter, can }: CallTarget, request: NormalizedRequest): EngineCall {
  if (dialect === undefined) throw new GatewayError('internal_error', `No dialect for the engine '${engine}' in this worker.`);
  // Unguessable: clients can name requests too (`x-request-id`), and must not be able to end one another's.
  const attemptId = dialect.abort === undefined ? '' : randomUUID();
  const inWords = withUnknown(dialect.toEngine(request, attemptId, adapter, can), request, engine);
  const [first] = inWords.dropped ?? [];
  if (first !== undefined && policy === 'reject') {
    const message = `'${first.name}' has no effect on the model '${request.requestedModel}': ${first.reason} (unsupported_params: reject).`;
    throw new GatewayError('param_unsupported', message, { param: first.name });
  }
  return { dialect, request: inWords, mender: dialect.mend?.(request, can), abort: dialect.abort?.(request, attemptId) };
}

/** What was left out before the dialect saw the request is told as what the dialect leaves out is. */
function withUnknown(inWords: EngineRequest, { unknown = [] }: NormalizedRequest, engine: string): EngineRequest {
  if (unknown.length === 0) return inWords;
  const reason = `the engine (${engine}) does not know it`;
  return { ...inWords, dropped: [...unknown.map((name) => ({ name, reason })), ...(inWords.dropped ?? [])] };
}

/** Names for the header that tells of dropped parameters; undefined where there is nothing to tell. */
export function droppedNames({ request }: EngineCall, policy: UnsupportedParams): string | undefined {
  const { dropped = [] } = request;
  if (policy !== 'warn' || dropped.length === 0) return undefined;
  return dropped.map(({ name }) => name.replaceAll(/[^\x21-\x7e]/g, '?')).join(', ');
}

export function engineHeaders(replica: ReplicaView, requestId: string, contentType = 'application/json'): string[] {
  const key = replica.apiKey === '' ? [] : ['authorization', `Bearer ${replica.apiKey}`];
  return ['content-type', contentType, ...key, 'x-request-id', requestId];
}
