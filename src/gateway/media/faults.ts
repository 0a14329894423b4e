import { GatewayError } from '../../core/errors.ts';

/** Whose media is at fault: for the client. */
export interface Named {
  readonly url: string;
  readonly param: string;
}

const shown = ({ url, param }: Named): string => `'${param}' (${JSON.stringify(url.length > 120 ? `${url.slice(0, 120)}…` : url)})`;

/** It will not be fetched, whatever answers there. */
export function refusedMedia(media: Named, why: string): GatewayError {
  return new GatewayError('media_refused', `${shown(media)} ${why}.`, { param: media.param });
}

/** It could not be fetched, or is no image. */
export function noMedia(media: Named, why: string, cause?: unknown): GatewayError {
  return new GatewayError('media_unavailable', `${shown(media)} ${why}.`, { param: media.param, cause });
}
