import { errorTable, type GatewayError } from '../../core/errors.ts';
import { eventOf } from '../../core/server-sent-events.ts';
import type { EngineError } from '../../plugins/engine-plugin.ts';

export interface ErrorReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** OpenAI's object: `{"error":{message,type,param,code}}`. */
  readonly body: string;
}

/** The one place where an error becomes OpenAI's object. */
function errorObject(message: string, type: string, param: string | undefined, code: string): string {
  return JSON.stringify({ error: { message, type, param: param ?? null, code } });
}

export function errorReply(error: GatewayError): ErrorReply {
  const row = errorTable[error.code];
  const headers: Record<string, string> = { 'x-should-retry': String(row.retryable) };
  if (error.retryAfterS !== undefined) {
    headers['retry-after'] = String(Math.max(1, Math.ceil(error.retryAfterS)));
    // OpenAI's clients look at this one first: it is not rounded up to a second.
    headers['retry-after-ms'] = String(Math.max(1, Math.ceil(error.retryAfterS * 1000)));
  }
  if (row.status === 401) headers['www-authenticate'] = 'Bearer';
  return { status: row.status, headers, body: errorObject(error.message, row.type, error.param, error.code) };
}

const typeOfStatus = (status: number): string => {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
};

/** An engine's own refusal, passed on in OpenAI's shape. `status`: the engine's, from 400. */
export function engineErrorReply(status: number, error: EngineError): ErrorReply {
  const shown = error.status ?? status;
  const code = error.code ?? (shown >= 500 ? 'engine_error' : 'engine_refused');
  return { status: shown, headers: {}, body: errorObject(error.message, error.type ?? typeOfStatus(shown), error.param, code) };
}

/** The last event of a stream that broke: clients of OpenAI's API raise it as an error. */
export function errorEvent(error: GatewayError): string {
  return eventOf(errorReply(error).body);
}
