import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import pino from 'pino';
import { openToAll } from '../../src/core/access.ts';
import { LoadBoard } from '../../src/core/board.ts';
import { slot } from '../../src/core/ids.ts';
import { emptyTable, type RoutingTable } from '../../src/core/table.ts';
import { DataPlane } from '../../src/gateway/data-plane.ts';

const table = (version: number): RoutingTable => ({ ...emptyTable, version });

async function start(t: TestContext, workers: number, port = 0) {
  const board = LoadBoard.create(workers, 8);
  const logged: string[] = [];
  const waiting = new Set<() => void>();
  const wake = (): void => waiting.forEach((look) => look());
  const log = pino(
    { level: 'info' },
    {
      write: (line: string) => {
        logged.push(line);
        wake();
      },
    },
  );
  const plane = await DataPlane.start({
    host: '127.0.0.1',
    port,
    workers,
    plugins: [],
    board,
    table: emptyTable,
    log,
    workerLog: { level: 'silent', file: undefined },
    settings: {
      limits: {
        maxMediaBodyBytes: 1024 * 1024,
        maxBodyBytes: 1024,
        headersTimeoutMs: 1000,
        requestTimeoutMs: 1000,
        maxConnections: 100,
        failedAuthPerMinute: undefined,
      },
      cors: { allowedOrigins: undefined, maxAgeS: 600 },
      media: { fetch: 'public', allowedHosts: [], maxImages: 16, maxImageBytes: 20_971_520, maxTotalBytes: 104_857_600, timeoutMs: 15_000 },
      client: { heartbeatMs: 10_000, writeStallMs: 60_000, keepAliveMs: 30_000 },
      metricsByKey: false,
      debugHeaders: false,
      access: openToAll,
    },
    onApplied: wake,
    onDemand: () => undefined,
    onAdapterDemand: () => undefined,
    onWorkerGone: () => undefined,
  });
  t.after(() => plane.terminate());
  const until = (condition: () => boolean): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      if (condition()) resolve();
    };
    waiting.add(look);
    look();
    return promise.finally(() => waiting.delete(look));
  };
  return { plane, board, until, logged, url: `http://127.0.0.1:${plane.port}` };
}

describe('DataPlane', () => {
  test('several workers share one free port; a table counts as applied when all have it', async (t) => {
    const { plane, until, url } = await start(t, 2);
    assert.equal(plane.appliedVersion(), 0);
    plane.publish(table(3));
    await until(() => plane.appliedVersion() === 3);
    const statuses = await Promise.all(Array.from({ length: 8 }, async () => (await fetch(`${url}/health`)).status));
    assert.deepEqual(new Set(statuses), new Set([200]));
  });

  test('a port that somebody else listens on is refused, also when they share theirs', async (t) => {
    const first = await start(t, 2);
    await assert.rejects(start(t, 2, first.plane.port), {
      code: 'port_in_use',
      message: new RegExp(`127\\.0\\.0\\.1:${first.plane.port} is in use`),
    });
  });

  test('adds up what the workers counted', async (t) => {
    const { plane, until, url } = await start(t, 2);
    plane.publish(table(1));
    await until(() => plane.appliedVersion() === 1);
    await fetch(`${url}/nope`);
    const snapshots = (await plane.scrape()) as { name: string; values: { value: number; labels: { code?: string } }[] }[][];
    const rejected = snapshots.flat().filter(({ name }) => name === 'roundhouse_rejected_requests_total');
    const counted = rejected.flatMap(({ values }) => values).filter(({ labels }) => labels.code === 'route_not_found');
    assert.equal(
      counted.reduce((sum, { value }) => sum + value, 0),
      1,
    );
  });

  test('a worker that dies is replaced, its counts are forgotten, and the new one gets the table', async (t) => {
    const { plane, board, until, logged } = await start(t, 1);
    board.add(0, slot(3), 1);
    // No worker survives a table it cannot read.
    plane.publish({ ...table(1), models: undefined } as unknown as RoutingTable);
    await until(() => logged.some((line) => line.includes('a worker thread failed')));
    plane.publish(table(2));
    await until(() => plane.appliedVersion() === 2);
    assert.equal(board.read(slot(3)), 0);
  });

  test('drains at once when nothing runs, and then nobody listens', async (t) => {
    const { plane, url } = await start(t, 2);
    await fetch(`${url}/health`);
    await plane.drain(60_000);
    await turn();
    await assert.rejects(fetch(`${url}/health`));
  });
});
