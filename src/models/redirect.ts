import { ArtifactError } from './artifact-error.ts';
import { isThisMachine } from './this-machine.ts';

/**
 * Where a redirect leads: from this machine also back to it, else to https alone.
 * @param location the header, absolute or relative to `from`
 * @throws ArtifactError `unsafe` where following it would leave TLS, or reach into this machine; `unreadable` where it leads nowhere
 */
export function redirectTarget(from: URL, location: string | undefined): URL {
  const at = location === undefined || !URL.canParse(location, from.href) ? undefined : new URL(location, from);
  if (at === undefined) throw new ArtifactError('unreadable', `${from.origin} answers with a redirect to nowhere.`);
  const local = isThisMachine(from.hostname);
  if (at.protocol !== 'https:' && !(local && at.protocol === 'http:' && isThisMachine(at.hostname)))
    throw new ArtifactError('unsafe', `${from.origin} redirects to ${at.protocol}//${at.host}, which is not https. It was not followed.`);
  if (isThisMachine(at.hostname) && !local)
    throw new ArtifactError('unsafe', `${from.origin} redirects to this machine (${at.origin}). It was not followed.`);
  return at;
}
