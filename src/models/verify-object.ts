import type { RemoteObject, Source } from './source.ts';
import { digestProblem, headerProblem } from './verify.ts';
import type { FileReading } from './verify.ts';

/**
 * What is wrong with the file that was fetched of an object; undefined where nothing is, as far as its store can tell.
 * @param crc the CRC-32 of the whole file
 * @param askFrom size in bytes of an object from which the store is asked for digests that its listing does not have
 */
export async function objectProblem(
  source: Source,
  object: RemoteObject,
  { reading, crc, askFrom }: { readonly reading: FileReading; readonly crc: number; readonly askFrom: number },
  signal: AbortSignal,
): Promise<string | undefined> {
  const header = await headerProblem(reading, object.path);
  if (header !== undefined) return header;
  // For a small object the question would cost as much as the object.
  const asked = object.sizeBytes > askFrom && source.digests !== undefined;
  const digests = asked ? ((await source.digests?.(object, signal)) ?? {}) : object.digests;
  const problem = await digestProblem(reading, crc, digests, signal);
  if (problem === undefined || asked || source.digests === undefined) return problem;
  // What the listing calls a digest may be none.
  return await digestProblem(reading, crc, await source.digests(object, signal), signal);
}
