import { isIP, type LookupFunction } from 'node:net';
import { Agent, type Dispatcher, request } from 'undici';
import { GatewayError, messageOf } from '../../core/errors.ts';
import type { MediaSettings } from '../../core/messages.ts';
import { type Named, noMedia, refusedMedia } from './faults.ts';
import { imageType, imageTypes } from './image-type.ts';
import type { ResolveHost } from './resolve.ts';
import { checkUrl, hostOf, isListed, usableAddresses } from './rules.ts';

const maxRedirects = 3;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export interface Image {
  readonly type: string;
  readonly bytes: Buffer;
}

export interface FetchDeps {
  readonly settings: MediaSettings;
  readonly resolve: ResolveHost;
  /** Called with the bytes as they come. @throws to stop */
  spend(bytes: number): void;
}

/** The addresses that were looked at are those that are connected to: a name is not looked up a second time. */
function pinned(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_host, { all }, callback) => {
    const [first] = found;
    if (all === true) callback(null, found);
    else callback(null, first?.address ?? '', first?.family ?? 4);
  };
}

/**
 * Fetches an image of the public internet, or of a listed host. Each redirect is looked at as the URL was.
 * @throws GatewayError `media_refused`, `media_unavailable`; `signal.reason` when aborted
 */
export async function fetchImage(media: Named, deps: FetchDeps, signal: AbortSignal): Promise<Image> {
  let target = media.url;
  for (let hop = 0; hop <= maxRedirects; hop += 1) {
    const url = checkUrl(target, media, deps.settings);
    const found = await orAborted(deps.resolve(hostOf(url), isListed(url, deps.settings)), signal);
    const addresses = usableAddresses(url, found, media, deps.settings);
    // One connection, used once: nothing is kept that another request could be sent on.
    const agent = new Agent({ connect: { lookup: pinned(addresses) }, pipelining: 0, maxHeaderSize: 16 * 1024 });
    try {
      const step = await fetchOnce(url, agent, media, deps, signal);
      if ('bytes' in step) return step;
      target = step.location;
    } finally {
      await agent.destroy();
    }
  }
  throw noMedia(media, `leads to more than ${maxRedirects} redirects`);
}

/** What a promise gives, unless the signal comes first. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', stop, { once: true });
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', stop));
}

async function fetchOnce(
  url: URL,
  dispatcher: Dispatcher,
  media: Named,
  deps: FetchDeps,
  signal: AbortSignal,
): Promise<Image | { readonly location: string }> {
  const headers = { accept: 'image/*', 'accept-encoding': 'identity', 'user-agent': 'roundhouse' };
  const reply = await request(url, { dispatcher, headers, signal }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw noMedia(media, `could not be fetched: ${messageOf(error)}`, error);
  });
  const { location } = reply.headers;
  if (redirects.has(reply.statusCode) && typeof location === 'string') {
    const next = URL.parse(location, url.href);
    if (next === null) throw noMedia(media, 'leads to a redirect that is no URL');
    return { location: next.href };
  }
  if (reply.statusCode !== 200) throw noMedia(media, `could not be fetched: status ${reply.statusCode}`);
  checkHead(reply.headers, media, deps.settings);
  const bytes = await collect(reply, media, deps, signal);
  const type = imageType(bytes);
  if (type === undefined) throw noMedia(media, `is not an image; expected ${imageTypes.join(', ')}`);
  return { type, bytes };
}

function checkHead(headers: Dispatcher.ResponseData['headers'], media: Named, { maxImageBytes }: MediaSettings): void {
  const type = String(headers['content-type'] ?? 'application/octet-stream').toLowerCase();
  // Stores of objects often know no better.
  if (!type.startsWith('image/') && !type.startsWith('application/octet-stream'))
    throw noMedia(media, `is not an image, but ${type.slice(0, 80)}`);
  if ((headers['content-encoding'] ?? 'identity') !== 'identity') throw noMedia(media, 'came compressed, which was not asked for');
  if (Number(headers['content-length'] ?? 0) > maxImageBytes) throw tooLarge(media, maxImageBytes);
}

const tooLarge = (media: Named, most: number): Error => refusedMedia(media, `is larger than ${most} bytes (gateway.media.max_image_bytes)`);

async function collect(reply: Dispatcher.ResponseData, media: Named, deps: FetchDeps, signal: AbortSignal): Promise<Buffer> {
  const { maxImageBytes } = deps.settings;
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of reply.body as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxImageBytes) throw tooLarge(media, maxImageBytes);
      deps.spend(chunk.length);
      chunks.push(chunk);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof GatewayError ? error : noMedia(media, `broke off: ${messageOf(error)}`, error);
  }
  return Buffer.concat(chunks, length);
}
