import { isMapping } from '../core/json.ts';
import type { ConfigPath } from './problems.ts';

/** The keys at the top of a file whose lists are put one after the other. */
export const joinedLists: readonly string[] = ['applications', 'llm_configs'];

/**
 * The values of two files as one: mappings are joined key by key, `applications` and `llm_configs` one after the other. Whatever else
 * both give is told to `twice`, and the first is kept: which of two settings holds must not depend on the order of the files.
 */
export function joinValues(first: unknown, second: unknown, path: ConfigPath, twice: (path: ConfigPath) => void): unknown {
  // A key with nothing after it counts as not written.
  if (first === null || first === undefined) return second;
  if (second === null || second === undefined) return first;
  if (isMapping(first) && isMapping(second)) {
    const joined: Record<string, unknown> = { ...first };
    for (const [key, value] of Object.entries(second)) {
      joined[key] = Object.hasOwn(first, key) ? joinValues(first[key], value, [...path, key], twice) : value;
    }
    return joined;
  }
  const [key] = path;
  const listed = path.length === 1 && typeof key === 'string' && joinedLists.includes(key);
  if (listed && Array.isArray(first) && Array.isArray(second)) return [...(first as unknown[]), ...(second as unknown[])];
  twice(path);
  return first;
}
