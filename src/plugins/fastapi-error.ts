import type { EngineError } from './engine-plugin.ts';
import type { ErrorReply } from './error-reply.ts';

const tooLong = /maximum context length is|longer than the model's context length/u;
const heading = /^\d+ validation errors?:\s*/u;
const validation = /'loc': [([](.*?)[)\]], 'msg': (["'])(.*?)\2[,}]/su;

/**
 * OpenAI's words for an error of an engine that is written with FastAPI (vLLM 0.26, SGLang 0.5.17): their types are Python's class names,
 * a validation error repeats the whole request, and `param` begins with `body.`.
 */
export function mendFastapiError(status: number, reply: ErrorReply): EngineError {
  if (status === 401) {
    // The gateway's own key was refused: no fault of the client, who must not look for it in its own key.
    return { message: `The engine refused the gateway's key: ${reply.message}`, type: 'server_error', status: 502 };
  }
  const { message, param } = readValidation(reply);
  const isMistake = status < 500;
  const code = isMistake && tooLong.test(message) ? 'context_length_exceeded' : reply.code;
  return {
    message,
    type: isMistake ? 'invalid_request_error' : 'server_error',
    ...(code === undefined ? {} : { code }),
    ...(param === undefined ? {} : { param }),
  };
}

/** The first of the validation errors in a message, without the request that follows it. */
function readValidation(reply: ErrorReply): { readonly message: string; readonly param: string | undefined } {
  const param = reply.param?.replace(/^body\.?/u, '');
  const plain = { message: plainWords(reply.message), param: param !== undefined && isField(param) ? param : undefined };
  if (!heading.test(reply.message)) return plain;
  const [, place = '', , words] = validation.exec(reply.message) ?? [];
  if (words === undefined) return { ...plain, message: plain.message.replace(heading, '') };
  const parts = place.split(/,\s*/u).map((part) => part.replaceAll(/^["']|["']$/gu, ''));
  const field = parts.filter((part) => part !== '' && part !== 'body' && part !== 'header' && !/[[(]/u.test(part)).join('.');
  const message = plainWords(words).replace(/^Value error, /u, '');
  const named = plain.param ?? (parts[0] === 'body' && isField(field) ? field : undefined);
  return { message: isField(field) ? `${field}: ${message}` : message, param: named };
}

/** A place in a body that is no JSON is a number. */
function isField(place: string): boolean {
  return /^[a-z_]/iu.test(place);
}

/** Without what stands in `param` already (vLLM), and the place in the engine's own source (SGLang). */
function plainWords(message: string): string {
  const words = message.replace(/\n\n {2}File "[\s\S]*$/u, '');
  const at = words.endsWith(')') ? words.lastIndexOf(' (parameter=') : -1;
  return at === -1 ? words : words.slice(0, at);
}
