import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../core/errors.ts';

type Done = (error: Error | null, body?: Buffer) => void;

function tooLarge(limit: number, key: string): GatewayError {
  return new GatewayError('body_too_large', `The body is larger than ${limit} bytes (gateway.limits.${key}).`);
}

/**
 * Collects a request's body. A body that came in one piece is that piece: fastify's own collector always copies, which for
 * long prompts is a tenth of a request's time and, by its garbage, more.
 *
 * @param key of `gateway.limits`, to name it in the error.
 * `done` gets GatewayError `body_too_large` as soon as that is known (from the Content-Length before any byte is read),
 * `request_invalid` when the client's connection breaks off.
 */
export function collectBody(raw: IncomingMessage, limit: number, done: Done, key = 'max_body_bytes'): void {
  if (Number(raw.headers['content-length']) > limit) {
    done(tooLarge(limit, key));
    return;
  }
  let first: Buffer | undefined;
  let rest: Buffer[] | undefined;
  let length = 0;
  const finish: Done = (error, body) => {
    raw.off('data', onData).off('end', onEnd).off('error', onError);
    done(error, body);
  };
  const onData = (chunk: Buffer): void => {
    length += chunk.length;
    if (length > limit) finish(tooLarge(limit, key));
    else if (first === undefined) first = chunk;
    else (rest ??= [first]).push(chunk);
  };
  const onEnd = (): void => finish(null, rest === undefined ? (first ?? Buffer.alloc(0)) : Buffer.concat(rest, length));
  const onError = (error: Error): void => finish(new GatewayError('request_invalid', 'The body broke off.', { cause: error }));
  raw.on('data', onData).on('end', onEnd).on('error', onError);
}
