import { ArtifactError } from './artifact-error.ts';
import type { HttpHead } from './http-head.ts';
import type { ByteRange, RemoteObject } from './source.ts';

/** What of an object its ranges are told by. */
export type Sized = Pick<RemoteObject, 'key' | 'sizeBytes'>;

/** The header that asks for `range`; none for a whole object, so that stores without ranges serve too. */
export function rangeHeader({ sizeBytes }: Sized, { start, end }: ByteRange): string | undefined {
  return start === 0 && end === sizeBytes ? undefined : `bytes=${start}-${end - 1}`;
}

/**
 * Whether a reply has the body that was asked for: just the range, of an object of the size that was listed. False for a refusal.
 * @throws ArtifactError `changed`: other bytes than those, also the whole object instead
 */
export function acceptsRange(object: Sized, range: ByteRange, head: HttpHead): boolean {
  const asked = rangeHeader(object, range);
  if (head.status !== 200 && (head.status !== 206 || asked === undefined)) return false;
  const length = head.header('content-length');
  const contentRange = head.header('content-range');
  const good = length === undefined || Number(length) === range.end - range.start;
  const same =
    asked === undefined ? contentRange === undefined : contentRange === `bytes ${range.start}-${range.end - 1}/${object.sizeBytes}`;
  if (good && same) return true;
  const got = contentRange ?? `${length ?? 'an unknown number of'} bytes from the start`;
  throw new ArtifactError(
    'changed',
    `${object.key} is not what was listed: asked for ${asked ?? `${object.sizeBytes} bytes`}, got ${got}.`,
  );
}
