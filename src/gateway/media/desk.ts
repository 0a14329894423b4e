import type { Clock } from '../../core/clock.ts';
import { GatewayError } from '../../core/errors.ts';
import type { MediaSettings } from '../../core/messages.ts';
import type { NormalizedRequest } from '../../core/request.ts';
import { withMembers } from '../openai/normalize.ts';
import { noMedia, refusedMedia } from './faults.ts';
import { fetchImage, type Image } from './fetch.ts';
import { changeMedia, mediaMembers, type MediaPlace } from './places.ts';
import type { ResolveHost } from './resolve.ts';
import { checkDataUrl, checkUrl } from './rules.ts';

/** Images of one worker that are fetched at a time; each may hold `maxImageBytes`. */
const maxFetches = 32;

export interface MediaDeskDeps {
  readonly settings: MediaSettings;
  readonly clock: Clock;
  readonly resolve: ResolveHost;
}

/** What a request needs before an engine can have it. */
export interface MediaWork {
  readonly members: readonly string[];
  /** Each URL once. */
  readonly places: ReadonlyMap<string, MediaPlace>;
}

/** Fetches the images that requests name by URL, so that no engine fetches anything; of one worker. */
export class MediaDesk {
  readonly #deps: MediaDeskDeps;
  #fetching = 0;

  constructor(deps: MediaDeskDeps) {
    this.#deps = deps;
  }

  /**
   * What is to be fetched for a request; undefined: nothing.
   * @throws GatewayError `media_refused` for what never will be
   */
  work(request: NormalizedRequest): MediaWork | undefined {
    const members = mediaMembers(request);
    if (members.length === 0) return undefined;
    const { settings } = this.#deps;
    const places = new Map<string, MediaPlace>();
    for (const name of members) {
      changeMedia(request.value(name), name, (place) => {
        if (/^data:/iu.test(place.url)) checkDataUrl(place, settings);
        else if (place.kind !== 'image')
          throw refusedMedia(place, 'would have to be fetched, which is done for images only; expected a data URL');
        else {
          checkUrl(place.url, place, settings);
          places.set(place.url, place);
        }
        return undefined;
      });
    }
    if (places.size > settings.maxImages) {
      const [place] = [...places.values()].slice(-1);
      if (place !== undefined)
        throw refusedMedia(place, `is one of ${places.size} images; at most ${settings.maxImages} (gateway.media.max_images)`);
    }
    return places.size === 0 ? undefined : { members, places };
  }

  /**
   * The request with the images in it. Aborting leaves no connection behind.
   * @throws GatewayError `media_refused`, `media_unavailable`, `overloaded`; `signal.reason`
   */
  async fill(request: NormalizedRequest, { members, places }: MediaWork, signal: AbortSignal): Promise<NormalizedRequest> {
    const images = await this.#fetchAll([...places.values()], signal);
    const changed = members.map((name): readonly [string, unknown] => [
      name,
      changeMedia(request.value(name), name, ({ url }) => {
        const image = images.get(url);
        return image === undefined ? undefined : { type: image.type, base64: image.bytes.toString('base64') };
      }),
    ]);
    return withMembers(request, new Map(changed));
  }

  async #fetchAll(places: readonly MediaPlace[], signal: AbortSignal): Promise<ReadonlyMap<string, Image>> {
    if (this.#fetching + places.length > maxFetches) {
      throw new GatewayError('overloaded', `${this.#fetching} images are being fetched already.`, { retryAfterS: 1 });
    }
    const { settings, clock } = this.#deps;
    const over = new AbortController();
    const stop = clock.after(settings.timeoutMs, () => over.abort());
    let left = settings.maxTotalBytes;
    this.#fetching += places.length;
    try {
      const both = AbortSignal.any([signal, over.signal]);
      const fetched = places.map(async (place) => {
        const spend = (bytes: number): void => {
          left -= bytes;
          if (left < 0)
            throw refusedMedia(
              place,
              `and the others are larger than ${settings.maxTotalBytes} bytes (gateway.limits.max_media_body_bytes)`,
            );
        };
        try {
          return [place.url, await fetchImage(place, { settings, resolve: this.#deps.resolve, spend }, both)] as const;
        } catch (error) {
          if (!over.signal.aborted || signal.aborted || error instanceof GatewayError) throw error;
          throw noMedia(place, `was not there within ${settings.timeoutMs / 1000} s (gateway.media.timeout_s)`, error);
        } finally {
          this.#fetching -= 1;
        }
      });
      return new Map(await allOrFirst(fetched, over));
    } finally {
      stop();
    }
  }
}

/** All of them, or the first failure once all have ended: what is of no use any more is stopped. */
async function allOrFirst<T>(promises: readonly Promise<T>[], stop: AbortController): Promise<readonly T[]> {
  try {
    return await Promise.all(promises);
  } catch (error) {
    stop.abort();
    await Promise.allSettled(promises);
    throw error;
  }
}
