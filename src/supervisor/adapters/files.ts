import { createHash } from 'node:crypto';
import type { AdapterName } from '../../core/ids.ts';

/** An adapter's files on this machine, at one revision. */
export interface FetchedAdapter {
  /** What engines know this revision by. */
  readonly handle: string;
  readonly path: string;
  /** Changes with the weights. */
  readonly revision: string;
  /** One more who needs the files here. */
  keep(): void;
  /** One less: to be called once for the fetch, and once for each `keep()`. Without any, the cache may take them away. */
  release(): void;
}

/** Files at a place, before they have an adapter's name. */
export interface PlacedFiles {
  readonly path: string;
  readonly revision: string;
  release(): void;
}

export function fetchedAdapter(adapter: AdapterName, placed: PlacedFiles): FetchedAdapter {
  const { path, revision } = placed;
  let holders = 1;
  return {
    handle: handleOf(adapter, revision),
    path,
    revision,
    keep: () => {
      holders += 1;
    },
    release: () => {
      holders -= 1;
      if (holders === 0) placed.release();
    },
  };
}

/** Letters, digits, `.`, `_` and `-`, as handles are; the digest, of which the name is a part, tells names apart that look alike then. */
export function handleOf(adapter: AdapterName, revision: string): string {
  const digest = createHash('sha256').update(`${adapter}\n${revision}`).digest('hex').slice(0, 12);
  return `${wordOf(adapter)}.${digest}`;
}

/** An adapter's name as it stands in its handles. */
export function wordOf(adapter: AdapterName): string {
  return adapter.replaceAll(/[^A-Za-z0-9._-]/gu, '-');
}

/** `wordOf()` the adapter that a handle is of. */
export function wordIn(handle: string): string {
  return handle.slice(0, Math.max(0, handle.lastIndexOf('.')));
}
