import { isMapping, type Mapping } from '../../core/json.ts';
import type { NormalizedRequest } from '../../core/request.ts';

/** Members whose values may have images in them, at any depth. */
const carriers: ReadonlySet<string> = new Set([
  'messages',
  'input',
  'prompt',
  'system',
  'query',
  'queries',
  'documents',
  'items',
  'data_1',
  'data_2',
  'text_1',
  'text_2',
]);

/** Names of URLs that engines fetch; others that end alike are a client's own. */
const kinds: ReadonlyMap<string, MediaPlace['kind']> = new Map([
  ['image_url', 'image'],
  ['video_url', 'other'],
  ['audio_url', 'other'],
  ['file_url', 'other'],
]);

/** Where a request names an image, or other media, by a URL. */
export interface MediaPlace {
  readonly url: string;
  /** As in the client's body, dots between names. */
  readonly param: string;
  readonly kind: 'image' | 'other';
}

/** What stands in the place of a URL; undefined: it stays. */
export type MediaChange = (place: MediaPlace) => { readonly type: string; readonly base64: string } | undefined;

/** The members of a request that may name media. */
export function mediaMembers({ members }: NormalizedRequest): readonly string[] {
  const found: string[] = [];
  for (const [name, { namesUrl }] of members) if (namesUrl && carriers.has(name)) found.push(name);
  return found;
}

/**
 * A value with what `change` gives in the place of its URLs: OpenAI's `image_url` (an object with `url`, or the URL itself) as a data
 * URL, Anthropic's `source` as its base64 form. `param`: the value's own place.
 */
export function changeMedia(value: unknown, param: string, change: MediaChange): unknown {
  if (Array.isArray(value)) return value.map((item: unknown, index) => changeMedia(item, `${param}.${index}`, change));
  if (!isMapping(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, changeMember(key, member, `${param}.${key}`, change)]));
}

function changeMember(key: string, member: unknown, param: string, change: MediaChange): unknown {
  const kind = kinds.get(key);
  if (kind !== undefined) return changeUrl(member, param, kind, change);
  if (key === 'source' && isMapping(member)) return changeSource(member, param, change);
  return changeMedia(member, param, change);
}

function changeUrl(member: unknown, param: string, kind: MediaPlace['kind'], change: MediaChange): unknown {
  if (isMapping(member))
    return typeof member['url'] === 'string' ? { ...member, url: changeUrl(member['url'], `${param}.url`, kind, change) } : member;
  if (typeof member !== 'string') return member;
  const data = change({ url: member, param, kind });
  return data === undefined ? member : `data:${data.type};base64,${data.base64}`;
}

function changeSource(source: Mapping, param: string, change: MediaChange): unknown {
  const { url, type, ...rest } = source;
  if (type !== 'url' || typeof url !== 'string') return changeMedia(source, param, change);
  const data = change({ url, param: `${param}.url`, kind: 'image' });
  return data === undefined ? source : { ...rest, type: 'base64', media_type: data.type, data: data.base64 };
}
