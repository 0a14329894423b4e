import { alignColumns } from '../report/table.ts';
import { listCost } from './list-cost.ts';

const many = 10_000;
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

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
