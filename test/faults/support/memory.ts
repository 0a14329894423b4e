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

/**
 * Oracle (d): what a fault leaves behind. `fault` is brought about once, so that code is compiled and pools are filled, and then again: soon
 * after it the gateway has to be within a tenth of what it was. Only for rows in which much is held for a while; elsewhere it would tell nothing.
 */
export async function assertFlat(
  t: TestContext,
  gateway: Pick<GatewayProcess, 'signal' | 'log' | 'logged'>,
  fault: () => Promise<void>,
): Promise<void> {
  await fault();
  const before = await memoryOf(gateway);
  await fault();
  let after = await memoryOf(gateway);
  for (let look = 1; look < looks && isMore(after, before); look += 1) {
    await setTimeout(pauseMs);
    after = await memoryOf(gateway);
  }
  t.diagnostic(`kept ${before.keptBytes} then ${after.keptBytes} bytes, resident ${before.residentKb} then ${after.residentKb} kB`);
  assert.ok(!isMore(after, before), `before it ${before.keptBytes} bytes were kept, ${before.residentKb} kB resident`);
}

const isMore = (after: Memory, before: Memory): boolean =>
  after.residentKb > 1.1 * before.residentKb || after.keptBytes > 1.1 * before.keptBytes;
