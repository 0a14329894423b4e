import { adapterRoutes } from '../adapter-routes.ts';
import type { Engine, EnginePlugin, LoraSupport, ModelTraits } from '../engine-plugin.ts';
import { defineEngine } from '../engine-plugin.ts';
import { readMaxModelLen } from '../capabilities.ts';
import { textOf } from '../engine-version.ts';
import { readModelIds } from '../served-models.ts';
import { sleepRoutes } from '../sleep-routes.ts';
import { command } from './command.ts';
import { dialect } from './dialect.ts';
import { readLog } from './log.ts';
import { readMetrics } from './metrics.ts';
import { options } from './options.ts';
import { settings } from './settings.ts';
import type { Settings } from './settings.ts';

/** A real process without a model, for tests and for trying a config without a GPU. */
export const fake: EnginePlugin = defineEngine('fake', dialect, options, build);

const dynamic = adapterRoutes('/v1', {
  loaded: /has already been loaded/u,
  unloaded: /cannot be found\.$/u,
  missing: /No adapter found for /u,
  unusable: /LoRA rank/u,
});

const atStart: LoraSupport = { kind: 'at-start', format: 'peft', handle: String };

function build(written: Partial<Settings>, { lora, sleeps }: ModelTraits): Engine {
  const given = sleeps === undefined ? written : { ...written, enable_sleep_mode: true };
  return {
    executable: process.execPath,
    install: 'The fake engine is part of this package and runs on its own Node.',
    command: (launch) => command(given, launch),
    innerPorts: given.inner_ports ?? settings.inner_ports.fallback,
    concurrency: given.max_num_seqs ?? settings.max_num_seqs.fallback,
    needs: { gpus: 0, memoryShare: 1 },
    notes: [],
    version: {
      running: { probe: { path: '/version', timeoutMs: 5000 }, read: (body) => textOf(body, 'version') },
      floor: { version: '1.0.0', advisory: 'an advisory that is made up, to see one' },
    },
    capabilities: [{ probe: { path: '/v1/models', timeoutMs: 5000 }, read: readMaxModelLen }],
    probes: {
      readiness: { path: '/health', timeoutMs: 5000 },
      liveness: { path: '/health', timeoutMs: 10_000 },
      identity: { path: '/v1/models', timeoutMs: 5000 },
    },
    readServedModels: readModelIds,
    ...(lora === undefined ? {} : { lora: given.lora_at_start === true ? atStart : dynamic }),
    ...(sleeps === undefined ? {} : { sleep: sleepRoutes('/sleep') }),
    metricsPath: '/metrics',
    countersProveHang: true,
    readMetrics,
    readLog,
    stopping: { graceMs: 5000 },
  };
}
