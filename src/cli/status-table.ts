import type { StatusReply } from '../admin/api.ts';
import { gpuLabel } from '../supervisor/gpus/devices.ts';
import type { GpuReport } from '../supervisor/gpus/ledger.ts';
import type { ModelReport, ReplicaReport } from '../supervisor/report.ts';
import { advisoriesOf } from './progress.ts';
import { sumOf } from './lora-table.ts';
import { duration, timeLeft } from './duration.ts';
import { printable } from './printable.ts';

/** In the order of the table. `keep`: where the width is too small, columns with the least of it are left out first. */
interface Column {
  readonly heading: string;
  readonly keep: number;
  cell(model: ModelReport, replica: ReplicaReport | undefined, now: number): string;
}

const none = '-';

const columns: readonly Column[] = [
  { heading: 'MODEL', keep: 12, cell: ({ name }) => name },
  { heading: 'REPLICA', keep: 11, cell: (_, replica) => (replica === undefined ? none : `#${replica.index}`) },
  { heading: 'STATE', keep: 10, cell: ({ status }, replica) => replica?.state ?? status.phase },
  { heading: 'PHASE', keep: 8, cell: (_, replica, now) => (replica === undefined ? none : phaseCell(replica, now)) },
  { heading: 'GPUS', keep: 5, cell: (_, replica) => replica?.gpus.join(',') || none },
  { heading: 'PORT', keep: 1, cell: (_, replica) => portOf(replica?.upstream) },
  { heading: 'PID', keep: 4, cell: (_, replica) => String(replica?.pid ?? none) },
  { heading: 'IN FLIGHT', keep: 9, cell: (_, replica) => String(replica?.inFlight ?? 0) },
  { heading: 'WAITING', keep: 7, cell: ({ waiting }) => String(waiting) },
  { heading: 'RESTARTS', keep: 3, cell: (_, replica) => String(replica?.restarts ?? 0) },
  {
    heading: 'UPTIME',
    keep: 6,
    cell: (_, replica, now) => (replica?.readySince === undefined ? none : duration(now - replica.readySince)),
  },
  { heading: 'LAST ERROR', keep: 2, cell: (_, replica) => replica?.lastError?.code ?? none },
  { heading: 'ENGINE', keep: 0, cell: ({ engine }, replica) => (replica?.version === undefined ? engine : `${engine} ${replica.version}`) },
];

const gap = '  ';

/** What it does and since when, where that says more than its state. */
function phaseCell(replica: ReplicaReport, now: number): string {
  const { state, phase, since } = replica;
  return phase === state ? none : `${phase} ${duration(now - since)}${timeLeft(replica)}`;
}

function portOf(upstream: string | undefined): string {
  if (upstream === undefined) return none;
  const { port, protocol } = new URL(upstream);
  return port === '' ? (protocol === 'https:' ? '443' : '80') : port;
}

/** A replica, or a model that has none. */
interface Row {
  readonly model: ModelReport;
  readonly replica?: ReplicaReport;
}

/** A heading and its cells, one below the other. */
type Cells = readonly [Column, ...string[]];

function widthOf([{ heading }, ...cells]: Cells): number {
  return Math.max(heading.length, ...cells.map((cell) => cell.length));
}

/** The columns that fit into `width`, one at least. */
function fitting(all: readonly Cells[], width: number): readonly Cells[] {
  const taken = all.reduce((sum, cells) => sum + widthOf(cells) + gap.length, -gap.length);
  if (taken <= width || all.length === 1) return all;
  const least = Math.min(...all.map(([{ keep }]) => keep));
  return fitting(
    all.filter(([{ keep }]) => keep !== least),
    width,
  );
}

function replicaRows(models: readonly ModelReport[], now: number, width: number): readonly string[] {
  const rows = models.flatMap((model): Row[] =>
    model.replicas.length === 0 ? [{ model }] : model.replicas.map((replica) => ({ model, replica })),
  );
  const all = columns.map((column): Cells => [column, ...rows.map(({ model, replica }) => printable(column.cell(model, replica, now)))]);
  const shown = fitting(all, width).map((cells) => {
    const [{ heading }, ...texts] = cells;
    return [heading, ...texts].map((text) => text.padEnd(widthOf(cells)));
  });
  return ['', ...rows].map((_, at) =>
    shown
      .map((texts) => texts[at])
      .join(gap)
      .trimEnd(),
  );
}

function gpuLine({ name, holders, quarantined, ...gpu }: GpuReport): string {
  const use = quarantined === undefined ? (holders.length === 0 ? 'free' : `held by ${holders.join(', ')}`) : `quarantined: ${quarantined}`;
  return `${gpuLabel(gpu)}  ${name}  ${use}`;
}

/**
 * What a person reads: a row for each replica, a line for the adapters of each model that has some, for each GPU and for each engine that should be upgraded, then the last error of each replica that has one.
 * @param width of the terminal: columns that do not fit are left out; the error below is whole all the same.
 */
export function statusTable({ pid, config, now, models, gpus }: StatusReply, width = Infinity): string {
  const errors = models.flatMap((model) =>
    model.replicas.flatMap(({ index, lastError }) =>
      lastError === undefined ? [] : [printable(`${model.name} #${index}: ${lastError.message}`)],
    ),
  );
  const advisories = advisoriesOf(models);
  const adapters = models.flatMap(({ name, adapters: report }) => (report === undefined ? [] : [sumOf({ model: name, ...report })]));
  return [
    `gateway ${pid}, ${config.join(', ')}`,
    '',
    ...replicaRows(models, now, width),
    ...(adapters.length === 0 ? [] : ['', ...adapters]),
    ...(gpus.length === 0 ? [] : ['', ...gpus.map(gpuLine)]),
    ...(advisories.length === 0 ? [] : ['', ...advisories]),
    ...(errors.length === 0 ? [] : ['', ...errors]),
    '',
  ].join('\n');
}
