import { GatewayError, messageOf } from '../core/errors.ts';
import { isForWantOfRoom } from '../core/full-disk.ts';
import { ArtifactError } from './artifact-error.ts';

/** Bytes came for a range that has all of its own. @param name of the object */
export function surplusError(name: string): ArtifactError {
  return new ArtifactError('changed', `${name}: the store sent more than was asked for.`);
}

/** What the file system says, with what to do about it: ArtifactError `no-space`, `unsafe`; else GatewayError `state_unusable`. */
export function diskError(thrown: unknown, file: string): GatewayError {
  const { code } = thrown as NodeJS.ErrnoException;
  if (isForWantOfRoom(thrown))
    return new ArtifactError(
      'no-space',
      `The disk is full (${code}) while writing ${file}. Make room, or give gateway.cache.dir another disk.`,
      thrown,
    );
  if (code === 'ELOOP') return new ArtifactError('unsafe', `${file} is a symlink, which the gateway did not make. Take it away.`, thrown);
  return new GatewayError('state_unusable', `Cannot write ${file}: ${messageOf(thrown)}.`, { cause: thrown });
}
