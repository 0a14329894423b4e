import type { MediaSettings } from '../../core/messages.ts';
import { isPublic } from './address.ts';
import { type Named, refusedMedia } from './faults.ts';

/** The same for a name that does not exist, and for one that leads into a private network: whoever asks shall not learn its names. */
export const notPublic = 'does not lead to a public address; hosts of a private network must stand in gateway.media.allowed_hosts';

/** A URL's host as it is compared: no brackets around IPv6. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/gu, '');
}

export function isListed(url: URL, { allowedHosts }: MediaSettings): boolean {
  return allowedHosts.includes(hostOf(url).toLowerCase());
}

/**
 * What the URL of an image may be, before anybody looks its host up; also of each redirect. (`new URL` has written an IPv4 address in any
 * notation as four numbers.)
 * @throws GatewayError `media_refused`
 */
export function checkUrl(text: string, media: Named, settings: MediaSettings): URL {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw refusedMedia(media, 'is not an http, https or data URL');
  }
  if (url.username !== '' || url.password !== '') throw refusedMedia(media, 'has a user name or password in it');
  if (settings.fetch === 'none')
    throw refusedMedia(media, 'would have to be fetched, and gateway.media.fetch is none; expected a data URL');
  if (settings.fetch === 'listed' && !isListed(url, settings)) {
    throw refusedMedia(media, 'would have to be fetched, and its host is not one of gateway.media.allowed_hosts');
  }
  return url;
}

/** Of the addresses of a URL's host those that may be connected to. @throws GatewayError `media_refused` */
export function usableAddresses(url: URL, addresses: readonly string[], media: Named, settings: MediaSettings): readonly string[] {
  const usable = isListed(url, settings) ? addresses : addresses.filter(isPublic);
  if (usable.length === 0) throw refusedMedia(media, notPublic);
  return usable;
}

/** Bytes of what a data URL holds, at most. */
export function dataBytes(url: string): number {
  return Math.ceil((url.length - url.indexOf(',') - 1) * 0.75);
}

/** @throws GatewayError `media_refused` */
export function checkDataUrl(media: Named, { maxImageBytes }: MediaSettings): void {
  const bytes = dataBytes(media.url);
  if (bytes <= maxImageBytes) return;
  throw refusedMedia(
    { ...media, url: media.url.slice(0, 40) },
    `has ${bytes} bytes; at most ${maxImageBytes} (gateway.media.max_image_bytes)`,
  );
}
