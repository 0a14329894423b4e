import { ArtifactError } from './artifact-error.ts';
import type { ByteRange, RemoteObject } from './source.ts';

/** The header that asks for `range`; none for a whole object, so that stores without ranges serve too. */
export function rangeHeader({ sizeBytes }: RemoteObject, { start, end }: ByteRange): string | undefined {
  return start === 0 && end === sizeBytes ? undefined : `bytes=${start}-${end - 1}`;
}

/**
 * That a reply holds just the range that was asked for, of an object of the size that was listed.
 * @throws ArtifactError `changed`
 */
export function checkRange(
  object: RemoteObject,
  range: ByteRange,
  reply: { readonly contentRange: string | undefined; readonly length: number | undefined },
): void {
  const asked = rangeHeader(object, range);
  const good = reply.length === undefined || reply.length === range.end - range.start;
  const same =
    asked === undefined
      ? reply.contentRange === undefined
      : reply.contentRange === `bytes ${range.start}-${range.end - 1}/${object.sizeBytes}`;
  if (good && same) return;
  const got = reply.contentRange ?? `${reply.length ?? 'an unknown number of'} bytes from the start`;
  throw new ArtifactError(
    'changed',
    `${object.key} is not what was listed: asked for ${asked ?? `${object.sizeBytes} bytes`}, got ${got}.`,
  );
}
