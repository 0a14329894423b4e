import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { s5cmd } from '../../setup/stores/s5cmd.ts';
import { ensureStores, storeServers } from '../../setup/stores/stores.ts';
import { median, pairedRatio } from '../measure/statistics.ts';
import { alignColumns } from '../report/table.ts';
import { compilePackage } from '../systems/package.ts';
import type { Bucket, Load } from './bucket.ts';
import { pairs, startBucket, upload } from './bucket.ts';
import { runTool } from './run-tool.ts';
import type { ToolRun } from './run-tool.ts';
import { toolsHere } from './tools.ts';
import type { Tool } from './tools.ts';

const megabyte = 1024 * 1024;
const full: readonly Load[] = [
  { prefix: 'large', files: 4, fileBytes: 2560 * megabyte },
  { prefix: 'small', files: 20_000, fileBytes: 4096 },
];
const quick: readonly Load[] = [
  { prefix: 'large', files: 2, fileBytes: 512 * megabyte },
  { prefix: 'small', files: 2000, fileBytes: 4096 },
];

/**
 * After what a run has brought is taken away, and the disk has heard of it. A virtual machine gives memory back to its host some seconds after
 * it was freed, and waits for each page that it wants again: without a pause a run would be as fast as the one before it was large.
 */
const settleMs = 5000;

/** How fast models come from a real S3 server on this machine, by us and by the best tools there are. `dir`: for the bucket and what comes. */
export async function weightsReport(isQuick: boolean, dir: string, signal: AbortSignal): Promise<readonly string[]> {
  const { missing } = await ensureStores(process.env, signal, [storeServers.versitygw, s5cmd]);
  const [first] = missing;
  if (first !== undefined) return [`weights: left out: ${first.title}: ${first.reason}`];
  const tools = toolsHere(process.env, await compilePackage(join(dir, 'package'), signal));
  const bucket = await startBucket(join(dir, 'bucket'), signal);
  try {
    const lines: string[] = [];
    for (const load of isQuick ? quick : full) {
      await upload(bucket, load, join(dir, 'source'), signal);
      await rm(join(dir, 'source'), { recursive: true });
      lines.push(...(await compare(bucket, load, tools, isQuick ? 2 : 3, dir, signal)), '');
    }
    return lines.slice(0, -1);
  } finally {
    await bucket.stop();
  }
}

async function compare(
  bucket: Bucket,
  load: Load,
  tools: readonly Tool[],
  rounds: number,
  dir: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const runs = new Map<Tool, ToolRun[]>(tools.map((tool) => [tool, []]));
  for (let round = 0; round < rounds; round += 1)
    // There and back, because what a run costs depends on which one was before it: in turns it would always be the same.
    for (const tool of round % 2 === 0 ? tools : tools.toReversed()) {
      const to = join(dir, 'to');
      await runTool('sync', ['sync'], signal);
      await sleep(settleMs, undefined, { signal });
      const command = ['env', ...pairs(bucket.env), ...tool.command(load.prefix, to, bucket.endpoint)] as [string, ...string[]];
      runs.get(tool)?.push(await runTool(tool.name, command, signal));
      await checkArrived(to, load, tool.name);
      await rm(to, { recursive: true });
    }
  const megabytes = (load.files * load.fileBytes) / 1e6;
  const of = (tool: Tool, value: (run: ToolRun) => number): number[] => (runs.get(tool) ?? []).map(value);
  const [ours] = tools;
  const rows = tools.map((tool) => {
    const seconds = of(tool, (run) => run.seconds);
    const speed =
      ours === undefined
        ? undefined
        : pairedRatio(
            seconds,
            of(ours, (run) => run.seconds),
          );
    return [
      tool.name,
      `${median(seconds).toFixed(2)} s`,
      `${(megabytes / median(seconds)).toFixed(0)} MB/s`,
      `${(load.files / median(seconds)).toFixed(0)} files/s`,
      `${median(of(tool, (run) => run.cpuSeconds)).toFixed(2)} s CPU`,
      `${Math.max(...of(tool, (run) => run.peakRssMib)).toFixed(0)} MiB`,
      tool === ours || speed === undefined
        ? ''
        : `${(speed.median * 100).toFixed(0)} % (${(speed.lowest * 100).toFixed(0)} to ${(speed.highest * 100).toFixed(0)})`,
    ];
  });
  const size = `${load.files} files of ${load.fileBytes >= megabyte ? `${load.fileBytes / megabyte} MiB` : `${load.fileBytes} bytes`}`;
  return alignColumns([[size, 'time', 'rate', '', '', 'peak memory', 'our speed is of its'], ...rows]);
}

/** A tool that brings less than all would be fast. @throws Error */
async function checkArrived(to: string, load: Load, tool: string): Promise<void> {
  const names = (await readdir(to, { recursive: true })).filter((name) => name.endsWith('.dat'));
  let bytes = 0;
  for (const name of names) bytes += (await stat(join(to, name))).size;
  if (names.length !== load.files || bytes !== load.files * load.fileBytes)
    throw new Error(`${tool} brought ${names.length} files of ${bytes} bytes, expected ${load.files} of ${load.files * load.fileBytes}`);
}
