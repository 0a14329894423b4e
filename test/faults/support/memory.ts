import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { TestContext } from 'node:test';
import type { GatewayProcess } from '../../support/gateway-process.ts';

/** For `start()`: makes `memoryOf` work. */
export const probed = { nodeArgs: ['--expose-gc', '--import', fileURLToPath(new URL('./memory-probe.ts', import.meta.url))] } as const;

/** What a gateway holds after its garbage was collected. */
export interface Memory {
  /** By all its threads, on their heaps and outside for their objects. */
  readonly keptBytes: number;
  readonly residentKb: number;
}

/** Collects the garbage of a gateway that was started `probed`. */
export async function memoryOf({ signal, log, logged }: Pick<GatewayProcess, 'signal' | 'log' | 'logged'>): Promise<Memory> {
  const round = log().split('{"memory":').length;
  signal('SIGUSR2');
  await logged(new RegExp(`^\\{"memory":\\{"round":${round},.*\\}\\}$`, 'mu'));
  const line = new RegExp(`^\\{"memory":(\\{"round":${round},.*\\})\\}$`, 'mu').exec(log());
  return JSON.parse(line?.[1] ?? '') as Memory;
}

/** How often what is left is looked at: the client may see the end of its reply before the gateway has let go of the engine's. */
const looks = 20;
const pauseMs = 100;

/** How often a fault is brought about at most: what is leaked comes each time, what pools and the C library's heap keep does not. */
const most = 5;

/**
 * Oracle (d): what a fault leaves behind. `fault` is brought about until two times in a row leave the same: the gateway has to be within
 * a tenth of what it was after the time before. Only for rows in which much is held for a while; elsewhere it would tell nothing.
 */
export async function assertFlat(
  t: TestContext,
  gateway: Pick<GatewayProcess, 'signal' | 'log' | 'logged'>,
  fault: () => Promise<void>,
): Promise<void> {
  await fault();
  const seen = [await memoryOf(gateway)];
  for (let before = seen[0]; before !== undefined && seen.length < most;) {
    await fault();
    const after = await settled(gateway, before);
    seen.push(after);
    before = isMore(after, before) ? after : undefined;
  }
  const told = seen.map(({ keptBytes, residentKb }) => `${keptBytes} bytes, ${residentKb} kB resident`).join('; ');
  t.diagnostic(`kept ${told}`);
  const [after, before] = seen.toReversed();
  assert.ok(after !== undefined && before !== undefined && !isMore(after, before), `more is kept after each of ${most} times: ${told}`);
}

/** What a gateway holds once it is no more than `before`, or after the last look. */
async function settled(gateway: Pick<GatewayProcess, 'signal' | 'log' | 'logged'>, before: Memory): Promise<Memory> {
  let after = await memoryOf(gateway);
  for (let look = 1; look < looks && isMore(after, before); look += 1) {
    await setTimeout(pauseMs);
    after = await memoryOf(gateway);
  }
  return after;
}

const isMore = (after: Memory, before: Memory): boolean =>
  after.residentKb > 1.1 * before.residentKb || after.keptBytes > 1.1 * before.keptBytes;
