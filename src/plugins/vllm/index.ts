import type { Capabilities } from '../../core/table.ts';
import { readMaxModelLen } from '../capabilities.ts';
import type { Engine, EnginePlugin, ModelTraits, OptionProblem } from '../engine-plugin.ts';
import { defineEngine, EngineOptionError } from '../engine-plugin.ts';
import { helpOf, unknownOptions } from '../help-options.ts';
import { numberOf } from '../kwargs.ts';
import type { ReadKwargs } from '../kwargs.ts';
import { readModelIds } from '../served-models.ts';
import { command } from './command.ts';
import { dialect } from './dialect.ts';
import { readLog } from './log.ts';
import { planLora, support } from './lora.ts';
import { readMetrics } from './metrics.ts';
import { options } from './options.ts';
import { planSleep, support as sleepSupport } from './sleep.ts';
import { version } from './version.ts';

/** vLLM's OpenAI-compatible server: safetensors models on GPUs (or its CPU build), a group of processes a replica. */
export const vllm: EnginePlugin = defineEngine('vllm', dialect, options, build);

/** Sequences in one batch where the config says nothing: vLLM's own default on most GPUs, but bounded and known to the gateway. */
const defaultSequences = 256;

/** vLLM 0.32 takes one port for its group of workers, and five and more where it has data-parallel copies. */
const innerPorts = { alone: 4, copies: 16 } as const;

function build(given: ReadKwargs, traits: ModelTraits): Engine {
  const lora = planLora(given, traits);
  const sleep = planSleep(given, traits);
  const problems = [...lora.problems, ...sleep.problems, ...tokenizerProblem(given, traits)];
  if (problems.length > 0) throw new EngineOptionError('vllm', problems);
  const sequences = numberOf(given.values, 'max_num_seqs', defaultSequences);
  const values = new Map<string, unknown>([
    ...(traits.tokenizerSource === undefined ? [] : [['tokenizer', traits.tokenizerSource] as const]),
    ['max_num_seqs', sequences],
    ...given.values,
    ...lora.added,
    ...sleep.added,
  ]);
  // Ray's executor needs a Ray cluster; on one machine vLLM starts its workers itself.
  if (values.get('distributed_executor_backend') === 'ray') values.delete('distributed_executor_backend');
  const copies = numberOf(values, 'data_parallel_size', 1);
  return {
    executable: 'vllm',
    install: 'Install vLLM (pip install vllm, in a virtual environment), or name its vllm executable in gateway.engines.vllm.command.',
    command: (launch) => command(values, { adapters: lora.dynamic, sleeps: sleep.used }, launch),
    innerPorts: copies > 1 ? innerPorts.copies : innerPorts.alone,
    concurrency: sequences * copies,
    needs: { gpus: copies * gpusOfOne(values), memoryShare: numberOf(values, 'gpu_memory_utilization', 1) },
    notes: [...given.notes, ...rayNote(given), ...lora.notes, ...sleep.notes],
    version,
    help: { args: ['serve', '--help=all'], timeoutMs: 120_000, read: (text) => helpOf(text, 'max_num_seqs') },
    checkOptions: (installed) => unknownOptions(installed, 'vLLM', given),
    capabilities: [{ probe: modelList, read: (body) => ({ ...readMaxModelLen(body), ...configured(values) }) }],
    probes: {
      // Connections are refused until it serves; then 200, and 503 once the engine's process is dead.
      readiness: { path: '/health', timeoutMs: 5000 },
      // Answered by the API server's one thread, late when it is busy with requests.
      liveness: { path: '/health', timeoutMs: 10_000 },
      identity: modelList,
    },
    readServedModels: readModelIds,
    ...(lora.dynamic ? { lora: support } : {}),
    ...(sleep.used ? { sleep: sleepSupport } : {}),
    metricsPath: '/metrics',
    countersProveHang: true,
    readMetrics,
    readLog,
    // While the engine's core loads, SIGTERM is lost (seen on 0.26.0), so that this is also how long stopping such a replica takes.
    stopping: { graceMs: 15_000 },
  };
}

/** GPUs of one data-parallel copy. */
function gpusOfOne(values: ReadonlyMap<string, unknown>): number {
  const sizes = ['tensor_parallel_size', 'pipeline_parallel_size', 'prefill_context_parallel_size'];
  return sizes.reduce((product, size) => product * numberOf(values, size, 1), 1);
}

const modelList = { path: '/v1/models', timeoutMs: 10_000 } as const;

/** What vLLM does not tell over HTTP (0.32.0), where the options say it. */
function configured(values: ReadonlyMap<string, unknown>): Capabilities {
  const runner = values.get('runner');
  return {
    ...(runner === 'pooling' || runner === 'generate' ? { embeddings: runner === 'pooling' } : {}),
    ...(values.get('language_model_only') === true ? { vision: false } : {}),
  };
}

function tokenizerProblem({ values, writtenAs }: ReadKwargs, { tokenizerSource }: ModelTraits): readonly OptionProblem[] {
  const given = values.get('tokenizer');
  if (given === undefined || tokenizerSource === undefined || given === tokenizerSource) return [];
  const message = `got ${JSON.stringify(given)}, but model_loading_config.tokenizer_source is ${JSON.stringify(tokenizerSource)}; expected one of them`;
  return [{ path: [writtenAs.get('tokenizer') ?? 'tokenizer'], message }];
}

function rayNote({ values, writtenAs }: ReadKwargs): readonly OptionProblem[] {
  const name = 'distributed_executor_backend';
  if (values.get(name) !== 'ray') return [];
  return [{ path: [writtenAs.get(name) ?? name], message: 'left out: there is no Ray here; vLLM starts its workers itself' }];
}
