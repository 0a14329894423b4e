import { Counter, Gauge, Registry } from 'prom-client';
import type { ModelReport } from '../supervisor/report.ts';

/** What became of the LoRA adapters, by model: no series for an adapter, of which there may be thousands. */
export function adapterRegistry(models: readonly ModelReport[]): Registry {
  const registry = new Registry();
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> =>
    new Gauge({ name, help, labelNames: [...labelNames], registers: [registry] });
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> =>
    new Counter({ name, help, labelNames: [...labelNames], registers: [registry] });
  const loaded = gauge('roundhouse_adapters_loaded', 'LoRA adapters that a replica has loaded.', ['model', 'replica']);
  const waiting = gauge('roundhouse_adapters_waited_for', 'LoRA adapters that requests wait for.', ['model']);
  const loads = counter('roundhouse_adapter_loads_total', 'Loads of LoRA adapters, by result.', ['model', 'result']);
  const seconds = counter('roundhouse_adapter_load_seconds_total', 'Seconds that loads of LoRA adapters took together.', ['model']);
  const evictions = counter('roundhouse_adapter_evictions_total', 'LoRA adapters unloaded to make room for others.', ['model']);
  const crowded = counter(
    'roundhouse_adapter_crowded_waits_total',
    'Waits for a LoRA adapter that began because all others on all replicas were in use: more of them are hot than there is room for.',
    ['model'],
  );
  for (const { name: model, adapters, replicas } of models) {
    if (adapters === undefined) continue;
    for (const { index } of replicas) {
      const here = adapters.resident.filter(({ replica, state }) => replica === index && state === 'loaded').length;
      loaded.set({ model, replica: String(index) }, here);
    }
    waiting.set({ model }, adapters.waiting.length);
    loads.inc({ model, result: 'ok' }, adapters.loads.ok);
    loads.inc({ model, result: 'failed' }, adapters.loads.failed);
    seconds.inc({ model }, adapters.loadSeconds);
    evictions.inc({ model }, adapters.evictions);
    crowded.inc({ model }, adapters.crowdedWaits);
  }
  return registry;
}
