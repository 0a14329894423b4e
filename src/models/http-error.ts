import { ArtifactError } from './artifact-error.ts';
import type { HttpHead } from './http-head.ts';

/** What to tell of a refusal, by store. */
export interface Remedies {
  /** The reference, for the message. */
  readonly where: string;
  /** What to do about 401 and 403. */
  readonly forbidden: string;
  /** What to do about 404. */
  readonly missing: string;
}

/** What a status that is not the wanted one means. */
export function statusError({ status, url }: HttpHead, { where, forbidden, missing }: Remedies): ArtifactError {
  if (status === 401 || status === 403) return new ArtifactError('forbidden', `${where}: access denied (${status}). ${forbidden}`);
  if (status === 404 || status === 410) return new ArtifactError('missing', `${where}: not found (${status}). ${missing}`);
  if (status === 412 || status === 416) return new ArtifactError('changed', `${where}: it was replaced while it was fetched (${status}).`);
  if (status === 408 || status === 429 || status >= 500)
    return new ArtifactError('busy', `${where}: ${url.origin} asks for patience (${status}). It is asked again, more slowly.`);
  return new ArtifactError('unreadable', `${where}: ${url.origin} answers ${status}.`);
}

/** Takes a reply whose status is not 200 for a failure. @throws ArtifactError */
export function expectOk(reply: HttpHead, remedies: Remedies): void {
  if (reply.status !== 200) throw statusError(reply, remedies);
}
