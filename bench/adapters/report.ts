import { alignColumns } from '../report/table.ts';
import { fleetLoads } from './fleet-loads.ts';
import { listCost } from './list-cost.ts';

const many = 10_000;
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

const traces = [
  ...[20, 1, 2, 3, 4, 5].map((seed) => ({ seed, exponent: 1 })),
  ...[0.8, 1.2].flatMap((exponent) => [1, 2].map((seed) => ({ seed, exponent }))),
];

/** Loads of four replicas with room for 16 of 200 adapters each, against others'. */
export async function loadsReport(quick: boolean, signal: AbortSignal): Promise<readonly string[]> {
  const rows: string[][] = [];
  for (const { seed, exponent } of quick ? traces.slice(0, 1) : traces) {
    signal.throwIfAborted();
    const measured = await fleetLoads({ seed, exponent, requests: 20_000, adapters: 200 });
    if (measured.wrong > 0) throw new Error(`${measured.wrong} requests were not answered by their adapter`);
    const { loads, spread, twoChoices, clairvoyant, frequenciesKnown, clairvoyantIdle } = measured;
    const times = (others: number): string => `${(loads / others).toFixed(2)} ×`;
    rows.push([
      `Zipf ${exponent.toFixed(1)}, seed ${seed}`,
      String(loads),
      times(twoChoices),
      times(clairvoyant),
      times(clairvoyantIdle),
      times(frequenciesKnown),
      spread.toFixed(2),
    ]);
  }
  return alignColumns([
    ['20,000 requests', 'loads', 'two choices', 'clairvoyant', 'with none in use', 'frequencies known', 'load max ÷ mean'],
    ...rows,
    ['goal', '', '0.5 ×', '1.5 ×', '', '', '1.25'],
  ]);
}

/** What it costs to list many adapters of a bucket, beside a bucket with one. `dir`: for the files. */
export async function adaptersReport(quick: boolean, dir: string, signal: AbortSignal): Promise<readonly string[]> {
  const rounds = quick ? 10 : 40;
  const one = await listCost(1, rounds, dir, signal);
  const all = await listCost(many, rounds, dir, signal);
  return alignColumns([
    ['adapters in a bucket', '1', String(many), 'goal'],
    ['ready until all are listed', `${one.firstMs.toFixed(0)} ms`, `${all.firstMs.toFixed(0)} ms`, ''],
    ['GET /v1/models after that, median', `${one.laterMs.toFixed(1)} ms`, `${all.laterMs.toFixed(1)} ms`, '< 2000 ms'],
    ['memory of the gateway', megabytes(one.rssBytes), `+ ${megabytes(all.rssBytes - one.rssBytes)}`, '< 50 MB more'],
  ]);
}
