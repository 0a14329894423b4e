import type { ArtifactError } from './artifact-error.ts';
import type { ByteSink } from './byte-sink.ts';
import { acceptsRange, rangeHeader } from './content-range.ts';
import type { HttpAsk, HttpClient } from './http.ts';
import type { HttpHead } from './http-head.ts';
import type { ByteRange, RemoteObject } from './source.ts';

/**
 * The bytes of a range over plain HTTP; `Source.read` of all stores.
 * @param refuse what to tell of another status; `text`: what the store says to it
 * @throws ArtifactError, that of `refuse` too; what the sink throws; the signal's reason
 */
export async function readRange(
  http: HttpClient,
  ask: Omit<HttpAsk, 'method'>,
  object: RemoteObject,
  range: ByteRange,
  refuse: (head: HttpHead, text: string) => ArtifactError,
  sink: ByteSink,
  signal: AbortSignal,
): Promise<void> {
  const header = rangeHeader(object, range);
  const headers = { 'accept-encoding': 'identity', ...(header === undefined ? {} : { range: header }), ...ask.headers };
  const wanted = header === undefined ? 200 : 206;
  const accept = (head: HttpHead): boolean => acceptsRange(object, range, head);
  const reply = await http.receive({ ...ask, method: 'GET', headers }, accept, sink, signal);
  if (reply.status !== wanted) throw refuse(reply, reply.text);
}
