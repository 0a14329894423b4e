import type { StatusReply } from '../admin/api.ts';
import type { GpuReport } from '../supervisor/gpus/ledger.ts';
import type { ModelReport, ReplicaReport } from '../supervisor/report.ts';
import { duration, timeLeft } from './duration.ts';

const heading = ['MODEL', 'REPLICA', 'STATE', 'FOR', 'GPUS', 'PID', 'IN FLIGHT', 'WAITING', 'RESTARTS'];

function replicaRow(model: ModelReport, replica: ReplicaReport, now: number): string[] {
  return [
    model.name,
    `#${replica.index}`,
    `${replica.phase}${timeLeft(replica)}`,
    duration(now - replica.since),
    replica.gpus.join(',') || '-',
    String(replica.pid ?? '-'),
    String(replica.inFlight),
    String(model.waiting),
    String(replica.restarts),
  ];
}

function rowsOf(model: ModelReport, now: number): string[][] {
  if (model.replicas.length === 0) return [[model.name, '-', model.status.phase, '-', '-', '-', '0', String(model.waiting), '0']];
  return model.replicas.map((replica) => replicaRow(model, replica, now));
}

function gpuLine({ index, name, holders, quarantined }: GpuReport): string {
  const use = quarantined === undefined ? (holders.length === 0 ? 'free' : `held by ${holders.join(', ')}`) : `quarantined: ${quarantined}`;
  return `GPU ${index}  ${name}  ${use}`;
}

/** What a person reads: a row for each replica, a line for each GPU, then the last error of each replica that has one. */
export function statusTable({ pid, config, now, models, gpus }: StatusReply): string {
  const rows = [heading, ...models.flatMap((model) => rowsOf(model, now))];
  const widths = heading.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const table = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const errors = models.flatMap((model) =>
    model.replicas.flatMap(({ index, lastError }) => (lastError === undefined ? [] : [`${model.name} #${index}: ${lastError.message}`])),
  );
  return [
    `gateway ${pid}, ${config}`,
    '',
    ...table,
    ...(gpus.length === 0 ? [] : ['', ...gpus.map(gpuLine)]),
    ...(errors.length === 0 ? [] : ['', ...errors]),
    '',
  ].join('\n');
}
