import { median, pairedRatio } from '../measure/statistics.ts';
import type { Measurements, MetricName } from './measurements.ts';

export type Goal =
  /** Roundhouse over the bare relay. */
  | { readonly kind: 'ratio'; readonly metric: MetricName; readonly title: string; readonly atMost: number }
  | { readonly kind: 'value'; readonly metric: MetricName; readonly title: string; readonly atMost: number; readonly unit: string };

export const goals: readonly Goal[] = [
  { kind: 'ratio', metric: 'request-1k', title: '1 KB request', atMost: 1.2 },
  { kind: 'ratio', metric: 'request-32k-one', title: '32 KB request, 1 message', atMost: 1.1 },
  { kind: 'ratio', metric: 'request-32k-many', title: '32 KB request, 60 messages', atMost: 1.1 },
  { kind: 'ratio', metric: 'chunk', title: 'streamed chunk', atMost: 1.15 },
  { kind: 'value', metric: 'added-p50-1k', title: 'added p50, 1 KB', atMost: 0.3, unit: 'ms' },
  { kind: 'value', metric: 'many-added-p50', title: 'added to the first event, 2000 streams, p50', atMost: 2, unit: 'ms' },
  { kind: 'value', metric: 'many-added-p99', title: 'added to the first event, 2000 streams, p99', atMost: 10, unit: 'ms' },
  { kind: 'value', metric: 'many-rss', title: 'RSS, 2000 streams', atMost: 250, unit: 'MiB' },
];

/** One line a goal that was measured: met, or missed and by how much; with the rounds' range, as the machine may be shared. */
export function verdicts(results: Measurements): readonly string[] {
  return goals.flatMap((goal) => {
    const line = verdict(goal, results);
    return line === undefined ? [] : [line];
  });
}

function verdict(goal: Goal, results: Measurements): string | undefined {
  const rounds = results.get(goal.metric);
  const ours = rounds?.get('roundhouse');
  if (ours === undefined || ours.length === 0) return undefined;
  switch (goal.kind) {
    case 'ratio': {
      const ratio = pairedRatio(ours, rounds?.get('relay'));
      if (ratio === undefined) return undefined;
      const range = `${ratio.lowest.toFixed(2)}–${ratio.highest.toFixed(2)}`;
      return `${outcome(ratio.median, goal.atMost)}: ${goal.title} ${ratio.median.toFixed(2)} × the bare relay, goal ≤ ${goal.atMost} × (rounds ${range})`;
    }
    case 'value': {
      const value = median(ours);
      const range = `${Math.min(...ours).toFixed(3)}–${Math.max(...ours).toFixed(3)}`;
      return `${outcome(value, goal.atMost)}: ${goal.title} ${value.toFixed(3)} ${goal.unit}, goal ≤ ${goal.atMost} ${goal.unit} (rounds ${range})`;
    }
  }
}

/** Met, or missed and by how much. */
export function outcome(value: number, atMost: number): string {
  return value <= atMost ? 'met' : `missed by ${((value / atMost - 1) * 100).toFixed(0)} %`;
}
