import type { Dialect, EngineError } from '../engine-plugin.ts';
import { readErrorReply } from '../error-reply.ts';
import type { ErrorReply } from '../error-reply.ts';
import { goOnWith } from '../go-on.ts';
import { parameters } from './parameters.ts';
import { mend } from './reply.ts';
import { paths, toEngine } from './request.ts';

/** Checked against llama-server 0.7.0 (build 11669). */
export const dialect: Dialect = {
  paths,
  parameters,
  toEngine,
  mend,
  // A last message of the assistant's is gone on with (`--prefill-assistant`, its default).
  goOn: goOnWith({}),
  readError: (status, body) => mendError(status, readErrorReply(status, body)),
};

/** Messages that llama-server 0.7.0 sends with status 500 although the client is at fault. */
const clientMistake =
  /^(Failed to parse (messages|tools)|(image|audio|video) input is not supported|Cannot use both|Expected |Missing |Invalid |Unsupported |Only )/u;

/** Where a message names the field at fault. */
const namedField = /^(?:Field '|Failed to parse (?=messages|tools)|Expected '|')(\w+)|key '(\w+)' not found/u;

function mendError(status: number, reply: ErrorReply): EngineError {
  if (status === 401) {
    // The gateway's own key was refused: no fault of the client, who must not look for it in its own key.
    return { message: `The engine refused the gateway's key: ${reply.message}`, type: 'server_error', status: 502 };
  }
  if (reply.type === 'exceed_context_size_error') {
    return { message: reply.message, type: 'invalid_request_error', code: 'context_length_exceeded' };
  }
  const isMistake = status < 500 || (status === 500 && clientMistake.test(reply.message));
  const [, field, key] = isMistake ? (namedField.exec(reply.message) ?? []) : [];
  const param = reply.param ?? field ?? key;
  return {
    message: reply.message,
    type: isMistake ? 'invalid_request_error' : 'server_error',
    ...(reply.code === undefined ? {} : { code: reply.code }),
    ...(param === undefined ? {} : { param }),
    ...(isMistake && status === 500 ? { status: 400 } : {}),
  };
}
