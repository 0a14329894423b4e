import type { ArtifactError } from './artifact-error.ts';
import type { ByteSink } from './byte-sink.ts';
import { checkRange, rangeHeader } from './content-range.ts';
import type { HttpAsk, HttpClient, HttpHead } from './http.ts';
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
  const accept = (head: HttpHead): boolean => {
    // A store that sends the whole object instead sends other bytes than were asked for.
    if (head.status !== wanted && head.status !== 200) return false;
    const length = head.header('content-length');
    checkRange(object, range, {
      contentRange: head.header('content-range'),
      length: length === undefined ? undefined : Number(length),
    });
    return true;
  };
  const { head, text } = await http.receive({ ...ask, method: 'GET', headers }, accept, sink, signal);
  if (head.status !== wanted) throw refuse(head, text);
}
