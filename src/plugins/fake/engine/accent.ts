import type { Settings } from '../settings.ts';
import { llamacppAdapters, ownAdapters, sglangAdapters, vllmAdapters } from './adapter-accent.ts';
import type { AdapterAccent } from './adapter-accent.ts';
import { errorBody, RequestError } from './openai.ts';
import type { Fields } from './openai.ts';

/**
 * Where an engine that the fake one stands for differs from OpenAI's API, as it was seen to (vLLM 0.26.0, SGLang 0.5.17, llama-server
 * 0.7.0): what its plugin's dialect is there to make right.
 */
export interface Accent {
  /** Refuses what OpenAI's API takes, or refuses it with another status. @throws RequestError */
  check(fields: Fields): void;
  readonly adapters: AdapterAccent;
  errorBody(status: number, error: ErrorFacts): object;
  /** Wraps an error body for the middle of a stream. */
  errorEvent(body: object): object;
  readonly unauthorised: object;
  /** The id of a reply, where it is not of the usual form. */
  replyId(fields: Fields, id: string): string;
  /** Whether a streamed chat begins with an event that says whose text it is. */
  readonly firstRole: boolean;
  /** In the last text event of completions, asked for or not; or in an event of its own, if asked for. */
  readonly completionUsage: 'inside' | 'apart';
  /** Closes the connection after a stream, and does not say so before. */
  readonly closesAfterStream: boolean;
  /** Goes on for nobody when the client has left, until `POST /abort_request` names the generation. */
  readonly abortsByName: boolean;
  /** Says `finish_reason: "abort"` of a reply that the engine ends early; otherwise the connection breaks. */
  readonly saysAbort: boolean;
}

export interface ErrorFacts {
  readonly message: string;
  readonly type: string;
  readonly param?: string | undefined;
  readonly code?: string | undefined;
}

const openai: Accent = {
  check: () => undefined,
  adapters: ownAdapters,
  errorBody: (_status, { message, type, param, code }) => errorBody(message, type, param, code),
  errorEvent: (body) => body,
  unauthorised: errorBody('Invalid API Key', 'authentication_error', undefined, 'invalid_api_key'),
  replyId: (_fields, id) => id,
  firstRole: true,
  completionUsage: 'apart',
  closesAfterStream: false,
  abortsByName: false,
  saysAbort: false,
};

const pythonType = (status: number): string => (status < 500 ? 'BadRequestError' : 'InternalServerError');

function validationError(place: string, words: string): string {
  return `1 validation error:\n  {'type': 'value_error', 'loc': (${place}), 'msg': '${words}'}`;
}

function checkLikeVllm({ tools, tool_choice: choice, response_format: format }: Fields): void {
  if (Array.isArray(tools) && tools.length === 0) {
    throw new RequestError(validationError("'body',", 'Value error, `tools` must not be an empty array.'), 'body');
  }
  if (choice !== undefined && choice !== 'none' && tools === undefined) {
    throw new RequestError(
      validationError("'body',", 'Value error, When using `tool_choice`, `tools` must be set. (parameter=tool_choice)'),
      'body',
    );
  }
  if (isNamelessSchema(format)) {
    throw new RequestError(
      validationError("'body', 'response_format', 'json_schema', 'name'", 'Field required'),
      'body.response_format.json_schema.name',
    );
  }
}

function isNamelessSchema(format: unknown): boolean {
  if (typeof format !== 'object' || format === null || !('json_schema' in format)) return false;
  const { json_schema: schema } = format;
  return typeof schema !== 'object' || schema === null || !('name' in schema && 'schema' in schema);
}

const vllm: Accent = {
  ...openai,
  check: checkLikeVllm,
  adapters: vllmAdapters,
  errorBody: (status, { message, param }) => ({
    error: { message, type: status === 404 ? 'NotFoundError' : pythonType(status), param: param ?? null, code: status },
  }),
  unauthorised: { error: 'Unauthorized' },
  saysAbort: true,
};

const sglang: Accent = {
  ...openai,
  adapters: sglangAdapters,
  errorBody: (status, { message }) => ({ object: 'error', message, type: pythonType(status), param: null, code: status }),
  errorEvent: (body) => ({ error: body }),
  unauthorised: { error: 'Unauthorized' },
  replyId: ({ rid }, id) => (typeof rid === 'string' ? rid : id),
  abortsByName: true,
  saysAbort: true,
};

const llamacppTypes: ReadonlyMap<number, string> = new Map([
  [400, 'invalid_request_error'],
  [401, 'authentication_error'],
  [404, 'not_found_error'],
  [503, 'unavailable_error'],
]);

function llamacppError(status: number, { message }: Pick<ErrorFacts, 'message'>): object {
  return { error: { code: status, message, type: llamacppTypes.get(status) ?? 'server_error' } };
}

function checkLikeLlamacpp({ messages }: Fields): void {
  const roleless = Array.isArray(messages) ? messages.find((message: unknown) => !hasRole(message)) : undefined;
  if (roleless === undefined) return;
  throw new RequestError(`Failed to parse messages: Missing 'role' in message: ${JSON.stringify(roleless)}`, undefined, undefined, 500);
}

function hasRole(message: unknown): boolean {
  return typeof message === 'object' && message !== null && 'role' in message;
}

const llamacpp: Accent = {
  ...openai,
  check: checkLikeLlamacpp,
  adapters: llamacppAdapters,
  errorBody: llamacppError,
  unauthorised: llamacppError(401, { message: 'Invalid API Key' }),
  replyId: (_fields, id) => id.replace(/^cmpl-/u, 'chatcmpl-'),
  firstRole: false,
  completionUsage: 'inside',
  closesAfterStream: true,
};

export const accents: Readonly<Record<Settings['dialect'], Accent>> = { openai, vllm, sglang, llamacpp };
