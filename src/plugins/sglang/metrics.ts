import type { EngineMetrics } from '../engine-plugin.ts';
import { readSeries } from '../prometheus.ts';

/**
 * Series of SGLang 0.5.17, each summed over its ranks; some builds write `_` for the `:` after the prefix. Gauges are only brought up to
 * date every few steps, and `generation_tokens_total` when a request ends, so that the tokens decoded so far come first.
 */
export function readMetrics(page: string): EngineMetrics {
  const series = readSeries(page);
  const decoded = readSeries(
    page
      .split('\n')
      .filter((line) => line.includes('mode="decode"'))
      .join('\n'),
  );
  return {
    running: either(series, 'num_running_reqs'),
    waiting: either(series, 'num_queue_reqs'),
    generatedTokens: either(decoded, 'realtime_tokens_total') ?? either(series, 'generation_tokens_total'),
    // Over all modes, prefill among them.
    workDone: either(series, 'realtime_tokens_total'),
  };
}

function either(series: ReadonlyMap<string, number>, name: string): number | undefined {
  return series.get(`sglang:${name}`) ?? series.get(`sglang_${name}`);
}
