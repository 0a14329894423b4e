import type { EngineMetrics } from '../engine-plugin.ts';
import { readSeries, sumOf } from '../prometheus.ts';

/** Series of llama-server 0.7.0. The token counter is brought up to date when a request ends, not while it runs. */
export function readMetrics(page: string): EngineMetrics {
  const series = readSeries(page);
  return {
    running: series.get('llamacpp:requests_processing'),
    waiting: series.get('llamacpp:requests_deferred'),
    generatedTokens: series.get('llamacpp:tokens_predicted_total'),
    // Moves with each batch, also of a prefill. The page is answered between two batches only.
    workDone: sumOf(series, ['llamacpp:n_decode_total']),
  };
}
