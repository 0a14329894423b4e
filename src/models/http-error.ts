import { ArtifactError } from './artifact-error.ts';
import type { HttpReply } from './http.ts';

/** What to tell of a refusal, by store. */
export interface Remedies {
  /** The reference, for the message. */
  readonly where: string;
  /** What to do about 401 and 403. */
  readonly forbidden: string;
  /** What to do about 404. */
  readonly missing: string;
}

/** Takes a reply whose status is not one of `good` for a failure, and drops it. @throws ArtifactError */
export async function expectStatus(reply: HttpReply, good: readonly number[], { where, forbidden, missing }: Remedies): Promise<void> {
  const { status } = reply;
  if (good.includes(status)) return;
  await reply.body.dump();
  if (status === 401 || status === 403) throw new ArtifactError('forbidden', `${where}: access denied (${status}). ${forbidden}`);
  if (status === 404 || status === 410) throw new ArtifactError('missing', `${where}: not found (${status}). ${missing}`);
  if (status === 412 || status === 416) throw new ArtifactError('changed', `${where}: it was replaced while it was fetched (${status}).`);
  if (status === 408 || status === 429 || status >= 500)
    throw new ArtifactError('busy', `${where}: ${reply.url.origin} asks for patience (${status}). It is asked again, more slowly.`);
  throw new ArtifactError('unreadable', `${where}: ${reply.url.origin} answers ${status}.`);
}
