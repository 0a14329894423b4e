import type { EngineMetrics } from '../engine-plugin.ts';
import { readSeries } from '../prometheus.ts';

/** Series of llama-server 0.7.0. The token counter is brought up to date when a request ends, not while it runs. */
export function readMetrics(page: string): EngineMetrics {
  const series = readSeries(page);
  return {
    running: series.get('llamacpp:requests_processing'),
    waiting: series.get('llamacpp:requests_deferred'),
    generatedTokens: series.get('llamacpp:tokens_predicted_total'),
  };
}
