import type { ReplicaReport } from '../supervisor/report.ts';

/** E.g. `41 s`, `12 min`, `3 h`, `2 d`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/** What follows a phase where it is known how long it still takes: `, about 20 s left`. */
export function timeLeft({ etaMs }: Pick<ReplicaReport, 'etaMs'>): string {
  return etaMs === undefined ? '' : `, about ${duration(Math.max(1000, etaMs))} left`;
}
