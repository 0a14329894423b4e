import type { replay } from '../autoscale/history.ts';
import type { SimulatedModelResult } from '../autoscale/simulate.ts';

/** What came of one model. Times in seconds. */
export interface SimulatedSummary {
  readonly model: string;
  readonly requests: number;
  readonly unserved: number;
  readonly waitS: { readonly p50: number; readonly p95: number; readonly most: number };
  readonly coldStarts: number;
  /** Times that a replica was woken, and given up for another model. */
  readonly wakes: number;
  readonly yielded: number;
  readonly replicas: { readonly mean: number; readonly most: number };
}

export interface SimulateReply {
  readonly endMs: number;
  readonly models: readonly SimulatedSummary[];
}

const toSeconds = (ms: number): number => Math.round(ms / 10) / 100;

export function summaryOf(
  { name, samples, waitsMs, unserved, coldStarts, wakes, yielded, replicaMs }: SimulatedModelResult,
  endMs: number,
): SimulatedSummary {
  const sorted = [...waitsMs].sort((a, b) => a - b);
  const quantile = (share: number): number => toSeconds(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0);
  return {
    model: name,
    requests: waitsMs.length + unserved,
    unserved,
    waitS: { p50: quantile(0.5), p95: quantile(0.95), most: toSeconds(sorted.at(-1) ?? 0) },
    coldStarts,
    wakes,
    yielded,
    replicas: {
      mean: endMs === 0 ? 0 : Math.round((replicaMs / endMs) * 100) / 100,
      most: samples.reduce((most, { running }) => Math.max(most, running), 0),
    },
  };
}

/** A row for each model. */
export function tableOf({ models, endMs }: SimulateReply): string {
  const headings = [
    'MODEL',
    'REQUESTS',
    'UNSERVED',
    'WAIT P50',
    'WAIT P95',
    'WAIT MAX',
    'COLD STARTS',
    'WOKEN',
    'GAVE WAY',
    'REPLICAS MEAN',
    'REPLICAS MAX',
  ];
  const rows = models.map(({ model, requests, unserved, waitS, coldStarts, wakes, yielded, replicas }) => [
    model,
    ...[requests, unserved].map(String),
    ...[waitS.p50, waitS.p95, waitS.most].map((value) => `${value} s`),
    ...[coldStarts, wakes, yielded, replicas.mean, replicas.most].map(String),
  ]);
  const widths = headings.map((heading, at) => Math.max(heading.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd();
  return [`${Math.round(endMs / 1000)} s simulated`, '', line(headings), ...rows.map(line), ''].join('\n');
}

/** Every change of every model. */
export function csvOf(results: readonly SimulatedModelResult[]): string {
  const lines = results.flatMap(({ name, samples }) =>
    samples.map(({ atMs, wanted, running, waiting, inFlight }) =>
      [(atMs / 1000).toFixed(3), name, wanted, running, waiting, inFlight].join(','),
    ),
  );
  return ['time_s,model,wanted,running,waiting,in_flight', ...lines, ''].join('\n');
}

type Replayed = { readonly model: string; readonly decisions: number; readonly differences: ReturnType<typeof replay> };

export function replayText(models: readonly Replayed[]): string {
  const lines = models.flatMap(({ model, decisions, differences }) => [
    `${model}: ${decisions} recorded ${decisions === 1 ? 'decision' : 'decisions'}, ${differences.length === 0 ? 'all the same now' : `${differences.length} come out differently`}`,
    ...differences.map(
      ({ record, now }) =>
        `  ${new Date(record.at).toISOString()}: was ${record.replicas} (${record.reason}), is ${now.replicas} (${now.reason})`,
    ),
  ]);
  return `${lines.join('\n')}\n`;
}
