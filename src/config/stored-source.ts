import { parseReference, referenceText, type RemoteReference } from '../models/reference.ts';
import type { ResolveContext } from './context.ts';
import type { ConfigPath } from './problems.ts';

/** A source as it may be shown: what stands before @ may be a secret. */
export function shownSource(text: string): string {
  return text.replace(/\/\/[^/]*@/, '//…@');
}

/**
 * What the value at `path` names in a bucket, on the hub or on the web; undefined where it names nothing there, which has been told.
 * @param otherwise what to tell of a text that is no URL at all
 */
export function storedSource(
  text: string,
  path: ConfigPath,
  context: ResolveContext,
  otherwise?: string,
): { readonly value: string; readonly reference: RemoteReference } | undefined {
  const reference = parseReference(text);
  if (reference.kind !== 'bad') return { value: referenceText(reference), reference };
  context.problem(path, `${JSON.stringify(shownSource(text))}: ${otherwise ?? reference.problem}`);
  return undefined;
}
