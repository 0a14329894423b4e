import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { s5cmd } from '../../setup/stores/s5cmd.ts';
import { ensureStores, storeServers } from '../../setup/stores/stores.ts';
import { median, pairedRatio } from '../measure/statistics.ts';
import { alignColumns } from '../report/table.ts';
import { outcome } from '../report/verdict.ts';
import { compilePackage } from '../systems/package.ts';
import type { Bucket, Load } from './bucket.ts';
import { pairs, startBucket, upload } from './bucket.ts';
import { runTool } from './run-tool.ts';
import type { ToolRun } from './run-tool.ts';
import { toolsHere } from './tools.ts';
import type { Tool } from './tools.ts';

const megabyte = 1024 * 1024;
const full: readonly Load[] = [
  // Fits into the memory of a small machine beside its source: the tools are compared, and not how its disk and its page cache do.
  { prefix: 'middle', files: 4, fileBytes: 1024 * megabyte },
  { prefix: 'large', files: 4, fileBytes: 2560 * megabyte },
  { prefix: 'small', files: 20_000, fileBytes: 4096 },
];
const quick: readonly Load[] = [
  { prefix: 'large', files: 2, fileBytes: 512 * megabyte },
  { prefix: 'small', files: 2000, fileBytes: 4096 },
];

/** Of the speed of the best other tool. */
const speedGoal = 0.8;
/** 150 MB. */
const memoryGoalMib = 143;

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
      if (!isKept(load)) await rm(join(dir, 'source'), { recursive: true });
      const runs = await measure(bucket, load, tools, isQuick ? 2 : 4, dir, signal);
      lines.push(...table(load, runs), '', ...(isQuick ? [] : [...verdicts(load, runs), '']));
    }
    return lines.slice(0, -1);
  } finally {
    await bucket.stop();
  }
}

/** Until the end: where thousands of files were taken away, ext4 looks at each of them for minutes before it makes another, which can take half of all time. */
const isKept = ({ files }: Load): boolean => files > 1000;

type Runs = ReadonlyMap<Tool, readonly ToolRun[]>;

/** @param rounds an even number, so that none goes first more often */
async function measure(
  bucket: Bucket,
  load: Load,
  tools: readonly Tool[],
  rounds: number,
  dir: string,
  signal: AbortSignal,
): Promise<Runs> {
  let nth = 0;
  const once = async (tool: Tool): Promise<ToolRun> => {
    nth += 1;
    const to = join(dir, `${load.prefix}-${nth}`);
    await mkdir(to);
    await runTool('sync', ['sync'], signal);
    await sleep(settleMs, undefined, { signal });
    const command = ['env', ...pairs(bucket.env), ...tool.command(load.prefix, to, bucket.endpoint)] as [string, ...string[]];
    const run = await runTool(tool.name, command, signal);
    await checkArrived(to, load, tool.name);
    if (!isKept(load)) await rm(to, { recursive: true });
    return run;
  };
  // Its memory the machine has not had before, which takes several times as long: whoever goes first would pay for all.
  for (const tool of tools.slice(0, 2)) await once(tool);
  const runs = new Map<Tool, ToolRun[]>(tools.map((tool) => [tool, []]));
  for (let round = 0; round < rounds; round += 1)
    // There and back, because what a run costs depends on which one was before it: in turns it would always be the same.
    for (const tool of round % 2 === 0 ? tools : tools.toReversed()) runs.get(tool)?.push(await once(tool));
  return runs;
}

const of = (runs: Runs, tool: Tool, value: (run: ToolRun) => number): number[] => (runs.get(tool) ?? []).map(value);
const seconds = (run: ToolRun): number => run.seconds;
const percent = (share: number): string => (share * 100).toFixed(0);
const sizeOf = ({ files, fileBytes }: Load): string =>
  `${files} files of ${fileBytes >= megabyte ? `${fileBytes / megabyte} MiB` : `${fileBytes} bytes`}`;
const peakOf = (runs: Runs, tool: Tool): number => Math.max(...of(runs, tool, (run) => run.peakRssMib));

/** Ours first, and then who is compared with it. */
function table(load: Load, runs: Runs): readonly string[] {
  const [ours, ...others] = runs.keys();
  const megabytes = (load.files * load.fileBytes) / 1e6;
  const row = (tool: Tool, compared: string): readonly string[] => {
    const time = median(of(runs, tool, seconds));
    return [
      tool.name,
      `${time.toFixed(2)} s`,
      `${(megabytes / time).toFixed(0)} MB/s`,
      `${(load.files / time).toFixed(0)} files/s`,
      `${median(of(runs, tool, (run) => run.cpuSeconds)).toFixed(2)} s CPU`,
      `${peakOf(runs, tool).toFixed(0)} MiB`,
      compared,
    ];
  };
  if (ours === undefined) return [];
  const rows = others.map((tool) => {
    const speed = pairedRatio(of(runs, tool, seconds), of(runs, ours, seconds));
    return row(tool, speed === undefined ? '' : `${percent(speed.median)} % (${percent(speed.lowest)} to ${percent(speed.highest)})`);
  });
  return alignColumns([[sizeOf(load), 'time', 'rate', '', '', 'peak memory', 'our speed is of its'], row(ours, ''), ...rows]);
}

/** The goals are those of the full loads. */
function verdicts(load: Load, runs: Runs): readonly string[] {
  const [ours, ...others] = runs.keys();
  const best = others.toSorted((a, b) => median(of(runs, a, seconds)) - median(of(runs, b, seconds)))[0];
  const times = ours === undefined || best === undefined ? undefined : pairedRatio(of(runs, ours, seconds), of(runs, best, seconds));
  if (ours === undefined || best === undefined || times === undefined) return [];
  const peak = peakOf(runs, ours);
  return [
    `${outcome(times.median, 1 / speedGoal)}: ${sizeOf(load)} at ${percent(1 / times.median)} % of the speed of ${best.name}, goal ≥ ${percent(speedGoal)} %`,
    `${outcome(peak, memoryGoalMib)}: ${sizeOf(load)} with ${peak.toFixed(0)} MiB at most, goal ≤ ${memoryGoalMib} MiB`,
  ];
}

/** A tool that brings less than all would be fast. @throws Error */
async function checkArrived(to: string, load: Load, tool: string): Promise<void> {
  const names = (await readdir(to, { recursive: true })).filter((name) => name.endsWith('.dat'));
  let bytes = 0;
  for (const name of names) bytes += (await stat(join(to, name))).size;
  if (names.length !== load.files || bytes !== load.files * load.fileBytes)
    throw new Error(`${tool} brought ${names.length} files of ${bytes} bytes, expected ${load.files} of ${load.files * load.fileBytes}`);
}
