import { isMapping, type Mapping } from '../core/json.ts';
import { parseObject } from './reply-mend.ts';

/** What an engine's error body holds, before the engine's dialect judges it. Absent fields were absent or of a useless type. */
export interface ErrorReply {
  readonly message: string;
  readonly type?: string;
  readonly code?: string;
  readonly param?: string;
}

const longestRawText = 2048;

/**
 * Reads the shapes that engines use: an `error` object, an `error` string, a flat error, FastAPI's `detail`, or no JSON
 * at all. Numeric codes only repeat the status, and are left out. Raw text is cut at 2 KB.
 */
export function readErrorReply(status: number, body: string): ErrorReply {
  const parsed = parseObject(body);
  if (parsed === undefined) return { message: rawMessage(status, body) };
  const { error, detail } = parsed;
  if (isMapping(error)) return fields(error, status, body);
  if (typeof error === 'string') return { message: error };
  if (typeof parsed['message'] === 'string') return fields(parsed, status, body);
  if (typeof detail === 'string') return { message: detail };
  return { message: rawMessage(status, body) };
}

function fields(error: Mapping, status: number, body: string): ErrorReply {
  const { message, type, code, param } = error;
  return {
    message: typeof message === 'string' && message !== '' ? message : rawMessage(status, body),
    ...(typeof type === 'string' && type !== '' ? { type } : {}),
    ...(typeof code === 'string' && code !== '' ? { code } : {}),
    ...(typeof param === 'string' && param !== '' ? { param } : {}),
  };
}

function rawMessage(status: number, body: string): string {
  const text = body
    .replaceAll(/<[^<>]*>/gu, ' ')
    .replaceAll(/\s+/gu, ' ')
    .trim();
  if (text === '') return `The engine answered ${status} without a reason.`;
  return `The engine answered ${status}: ${text.length > longestRawText ? `${text.slice(0, longestRawText)}…` : text}`;
}
