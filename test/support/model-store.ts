import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Clock } from '../../src/core/clock.ts';
import { systemClock } from '../../src/core/clock.ts';
import { ModelCache } from '../../src/models/cache.ts';
import type { FetchLimits } from '../../src/models/fetch.ts';
import { parseReference } from '../../src/models/reference.ts';
import type { RemoteReference } from '../../src/models/reference.ts';
import { ModelStore } from '../../src/models/store.ts';
import type { FetchOptions, StoreDeps } from '../../src/models/store.ts';

/** A directory of the test's own, gone with it. */
export function temporaryDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'roundhouse-models-'));
  t.after(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  return dir;
}

/** Random bytes that begin as a GGUF file does. */
export function gguf(size: number): Buffer {
  return Buffer.concat([Buffer.from('GGUF\x03\0\0\0'), randomBytes(size - 8)]);
}

/** All items, such as those that a source lists. */
export async function collect<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** @throws for a text that names no source. */
export function referenceOf(text: string): RemoteReference {
  const reference = parseReference(text);
  if (reference.kind === 'bad') throw new Error(`${text}: ${reference.problem}`);
  return reference;
}

/** Small parts, so that small files have several. */
const limits: Partial<FetchLimits> = { parallel: 4, partBytes: 256 * 1024 };

export function storeIn(root: string, deps: Partial<Omit<StoreDeps, 'cache'>> = {}): ModelStore {
  const clock: Clock = deps.clock ?? systemClock;
  return new ModelStore({
    cache: new ModelCache(root, clock),
    maxBytes: undefined,
    clock,
    random: () => 0,
    ...deps,
    limits: { ...limits, ...deps.limits },
  });
}

/** Options of a caller that waits for the end. */
export function options(env: FetchOptions['env'], more: Partial<FetchOptions> = {}): FetchOptions {
  return { env, trustRemoteCode: false, signal: new AbortController().signal, onProgress: () => undefined, ...more };
}
