import type { AdaptersReply } from '../admin/api.ts';
import { printable } from './printable.ts';

type Row = readonly string[];

const heading: Row = ['ADAPTER', 'REPLICA', 'STATE', 'REVISION', 'IN FLIGHT', 'USE'];

/** What a person reads: a row for each adapter on each replica, those that are waited for and, where asked for, those not loaded; then a line of sums for each model. */
export function loraTable({ models }: AdaptersReply): string {
  if (models.length === 0) return 'No model has adapters (lora_config).\n';
  const rows = [heading, ...models.flatMap(rowsOf)];
  const widths = heading.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [...lines, '', ...models.map(sumOf), ''].join('\n');
}

function rowsOf({ model, resident, waiting, names = [] }: AdaptersReply['models'][number]): readonly Row[] {
  const named = (adapter: string): string => printable(`${model}:${adapter}`);
  const present = new Set<string>([...resident, ...waiting].map(({ adapter }) => adapter));
  return [
    ...[...resident]
      .sort((a, b) => a.replica - b.replica || b.heat - a.heat)
      .map(({ adapter, replica, state, revision, inFlight, heat }): Row => [
        named(adapter),
        `#${replica}`,
        state,
        revision || '-',
        String(inFlight),
        heat.toFixed(1),
      ]),
    ...waiting
      .filter(({ adapter }) => !resident.some((each) => each.adapter === adapter))
      .map(({ adapter, crowded }): Row => [named(adapter), '-', crowded ? 'waited for, all are in use' : 'waited for', '-', '0', '-']),
    ...names.filter((name) => !present.has(name)).map((name): Row => [named(name), '-', 'not loaded', '-', '0', '-']),
  ];
}

/** How full the replicas are, what became of loads, and whether more adapters are in use than there is room for. */
export function sumOf({
  model,
  found,
  maxPerReplica,
  resident,
  waiting,
  loads,
  evictions,
  crowdedWaits,
}: Omit<AdaptersReply['models'][number], 'names'>): string {
  const perReplica = Map.groupBy(resident, ({ replica }) => replica);
  const full = [...perReplica].sort(([a], [b]) => a - b).map(([index, here]) => `#${index} ${here.length}/${maxPerReplica}`);
  const crowded = waiting.filter((each) => each.crowded).length;
  const parts = [
    `${found ?? 'an unknown number of'} adapters found`,
    full.length === 0 ? 'none loaded' : `loaded ${full.join(', ')}`,
    `${loads.ok} loads${loads.failed === 0 ? '' : `, ${loads.failed} failed`}, ${evictions} evictions`,
    ...(waiting.length === 0 ? [] : [`${waiting.length} waited for`]),
    ...(crowded === 0
      ? []
      : [`thrashing: ${crowded} wait because all others are in use (raise max_num_adapters_per_replica, or add replicas)`]),
    ...(crowded > 0 || crowdedWaits === 0 ? [] : [`${crowdedWaits} waits so far because all were in use`]),
  ];
  return printable(`adapters of ${model}: ${parts.join('; ')}`);
}
