import { errorTable, type GatewayError } from '../../core/errors.ts';
import { eventOf } from '../../core/server-sent-events.ts';
import type { EngineError } from '../../plugins/engine-plugin.ts';
import type { Api } from '../operations.ts';

export interface ErrorReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The API's object: OpenAI's `{"error":{message,type,param,code}}`, Anthropic's `{"type":"error","error":{type,message}}`. */
  readonly body: string;
  /** The same as the last event of a stream. */
  readonly event: string;
}

interface Told {
  readonly status: number;
  readonly message: string;
  readonly type: string;
  readonly param: string | undefined;
  readonly code: string;
}

/** Anthropic's `error.type` of a status. */
function anthropicType(status: number): string {
  switch (status) {
    case 401:
      return 'authentication_error';
    case 403:
      return 'permission_error';
    case 404:
      return 'not_found_error';
    case 413:
      return 'request_too_large';
    case 429:
      return 'rate_limit_error';
    case 503:
    case 529:
      return 'overloaded_error';
    default:
      return status >= 500 ? 'api_error' : 'invalid_request_error';
  }
}

/** The one place where an error becomes an API's object. */
function write(api: Api, told: Told, headers: Readonly<Record<string, string>>): ErrorReply {
  const { status, message, type, code, param = null } = told;
  switch (api) {
    case 'anthropic': {
      // Our own code stands beside Anthropic's two members, for who looks for it.
      const body = JSON.stringify({ type: 'error', error: { type: anthropicType(status), message, code, param } });
      return { status, headers, body, event: `event: error\n${eventOf(body)}` };
    }
    case 'responses': {
      const event = eventOf(JSON.stringify({ type: 'error', code, message, param }));
      return { status, headers, body: JSON.stringify({ error: { message, type, param, code } }), event: `event: error\n${event}` };
    }
    case 'openai': {
      const body = JSON.stringify({ error: { message, type, param, code } });
      return { status, headers, body, event: eventOf(body) };
    }
  }
}

export function errorReply(error: GatewayError, api: Api = 'openai'): ErrorReply {
  const { status, type, retryable } = errorTable[error.code];
  const headers: Record<string, string> = { 'x-should-retry': String(retryable) };
  if (error.retryAfterS !== undefined) {
    headers['retry-after'] = String(Math.max(1, Math.ceil(error.retryAfterS)));
    // OpenAI's clients look at this one first: it is not rounded up to a second.
    headers['retry-after-ms'] = String(Math.max(1, Math.ceil(error.retryAfterS * 1000)));
  }
  if (status === 401) headers['www-authenticate'] = 'Bearer';
  return write(api, { status, message: error.message, type, param: error.param, code: error.code }, headers);
}

const typeOfStatus = (status: number): string => {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
};

/** An engine's own refusal, passed on in the API's shape. `status`: the engine's, from 400. */
export function engineErrorReply(status: number, error: EngineError, api: Api = 'openai'): ErrorReply {
  const shown = error.status ?? status;
  const code = error.code ?? (shown >= 500 ? 'engine_error' : 'engine_refused');
  return write(api, { status: shown, message: error.message, type: error.type ?? typeOfStatus(shown), param: error.param, code }, {});
}
