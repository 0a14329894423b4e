import { adapterName } from './ids.ts';
import type { AdapterName } from './ids.ts';

/** `name` or `org/name`, and `@revision` behind it; nothing that could lead out of a directory. */
const adapterPattern = /^(?:[A-Za-z0-9._-]{1,96}\/)?[A-Za-z0-9._-]{1,96}(?:@[A-Za-z0-9._-]{1,96})?$/u;

/** Whether `text` is written as the name of an adapter is. */
export function isAdapterName(text: string): boolean {
  return adapterPattern.test(text) && text.split(/[/@]/u).every((part) => !/^\.+$/u.test(part));
}

/** An adapter, and the revision of it that its name pins. */
export function splitRevision(adapter: AdapterName): { readonly name: AdapterName; readonly revision: string | undefined } {
  const at = adapter.indexOf('@');
  return at === -1 ? { name: adapter, revision: undefined } : { name: adapterName(adapter.slice(0, at)), revision: adapter.slice(at + 1) };
}
