import type { SystemName } from '../systems/system.ts';

export type MetricName =
  | 'request-1k'
  | 'request-32k-one'
  | 'request-32k-many'
  | 'chunk'
  | 'rate-1k'
  | 'rate-32k-one'
  | 'rate-32k-many'
  | 'added-p50-1k'
  | 'added-p99-1k'
  | 'added-p50-32k'
  | 'added-p99-32k'
  | 'rss-rest'
  | 'rss-streams'
  | 'idle-cpu'
  | 'many-added-p50'
  | 'many-added-p99'
  | 'many-rss'
  | 'many-cpu';

export interface Metric {
  readonly name: MetricName;
  readonly title: string;
  readonly digits: number;
  /** A ratio says nothing of a difference near zero. */
  readonly compared: boolean;
}

/** In the order of the table. */
export const metrics: readonly Metric[] = [
  { name: 'request-1k', title: 'CPU µs/request, 1 KB', digits: 1, compared: true },
  { name: 'request-32k-one', title: 'CPU µs/request, 32 KB, 1 message', digits: 1, compared: true },
  { name: 'request-32k-many', title: 'CPU µs/request, 32 KB, 60 messages', digits: 1, compared: true },
  { name: 'chunk', title: 'CPU µs/streamed chunk', digits: 2, compared: true },
  { name: 'rate-1k', title: 'requests/s, 1 KB', digits: 0, compared: true },
  { name: 'rate-32k-one', title: 'requests/s, 32 KB, 1 message', digits: 0, compared: true },
  { name: 'rate-32k-many', title: 'requests/s, 32 KB, 60 messages', digits: 0, compared: true },
  { name: 'added-p50-1k', title: 'added ms p50, 1 KB', digits: 3, compared: true },
  { name: 'added-p99-1k', title: 'added ms p99, 1 KB', digits: 3, compared: true },
  { name: 'added-p50-32k', title: 'added ms p50, 32 KB', digits: 3, compared: true },
  { name: 'added-p99-32k', title: 'added ms p99, 32 KB', digits: 3, compared: true },
  { name: 'rss-rest', title: 'RSS MiB at rest', digits: 1, compared: true },
  { name: 'rss-streams', title: 'RSS MiB, 500 idle streams', digits: 1, compared: true },
  { name: 'idle-cpu', title: 'CPU ms/s when idle', digits: 2, compared: false },
  { name: 'many-added-p50', title: 'added ms to the first event p50, 2000 streams', digits: 2, compared: true },
  { name: 'many-added-p99', title: 'added ms to the first event p99, 2000 streams', digits: 2, compared: true },
  { name: 'many-rss', title: 'RSS MiB, 2000 streams', digits: 1, compared: true },
  { name: 'many-cpu', title: 'CPU ms/s, 2000 streams', digits: 0, compared: true },
];

/** Values by metric and system, one a round; the rounds of one metric were run side by side. */
export type Measurements = Map<MetricName, Map<SystemName, number[]>>;

export function addRound(results: Measurements, metric: MetricName, system: SystemName, value: number): void {
  const bySystem = results.get(metric) ?? new Map<SystemName, number[]>();
  results.set(metric, bySystem);
  bySystem.set(system, [...(bySystem.get(system) ?? []), value]);
}
