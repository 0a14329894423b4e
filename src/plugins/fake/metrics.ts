import type { EngineMetrics } from '../engine-plugin.ts';
import { readSeries } from '../prometheus.ts';

export function readMetrics(page: string): EngineMetrics {
  const series = readSeries(page);
  return {
    running: series.get('fake:requests_running'),
    waiting: series.get('fake:requests_waiting'),
    generatedTokens: series.get('fake:tokens_total'),
    workDone: series.get('fake:steps_total'),
  };
}
