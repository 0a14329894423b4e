import type { EngineMetrics } from '../engine-plugin.ts';
import { readSeries, sumOf } from '../prometheus.ts';

/** Series of vLLM 0.26.0, each summed over its data-parallel engines. The token counter moves with every step of the engine. */
export function readMetrics(page: string): EngineMetrics {
  const series = readSeries(page);
  return {
    running: series.get('vllm:num_requests_running'),
    waiting: series.get('vllm:num_requests_waiting'),
    generatedTokens: series.get('vllm:generation_tokens_total'),
    // The count of the histogram is one for each step, also of a prefill in chunks.
    workDone: sumOf(series, ['vllm:iteration_tokens_total_count', 'vllm:generation_tokens_total', 'vllm:prompt_tokens_total']),
  };
}
