import { messageOf } from '../core/errors.ts';
import { ArtifactError } from './artifact-error.ts';
import { checkRange, rangeHeader } from './content-range.ts';
import type { HttpAsk, HttpClient } from './http.ts';
import { expectStatus } from './http-error.ts';
import type { Remedies } from './http-error.ts';
import type { ByteRange, RemoteObject } from './source.ts';

/** The bytes of a range over plain HTTP; `Source.read` of the stores that speak it. */
export async function* readRange(
  http: HttpClient,
  ask: Omit<HttpAsk, 'method'>,
  object: RemoteObject,
  range: ByteRange,
  remedies: Remedies,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  const header = rangeHeader(object, range);
  const headers = { ...ask.headers, 'accept-encoding': 'identity', ...(header === undefined ? {} : { range: header }) };
  const reply = await http.send({ ...ask, method: 'GET', headers }, signal);
  await expectStatus(reply, [header === undefined ? 200 : 206], remedies);
  const length = reply.header('content-length');
  try {
    checkRange(object, range, { contentRange: reply.header('content-range'), length: length === undefined ? undefined : Number(length) });
    for await (const chunk of reply.body) yield chunk as Uint8Array;
  } catch (thrown) {
    signal.throwIfAborted();
    if (thrown instanceof ArtifactError) throw thrown;
    throw new ArtifactError('unreachable', `${remedies.where}: the connection broke: ${messageOf(thrown)}.`, thrown);
  } finally {
    reply.body.destroy();
  }
}
