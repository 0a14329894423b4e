import { isMapping } from '../../core/json.ts';
import type { Capabilities } from '../../core/table.ts';
import { readMaxModelLen, visionOf } from '../capabilities.ts';
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
import { fromServedName } from './served-name.ts';
import { version } from './version.ts';

/** SGLang's server: safetensors models on GPUs, a group of processes a replica. */
export const sglang: EnginePlugin = defineEngine('sglang', dialect, options, build);

/** Requests in one batch where the config says nothing. SGLang's own default depends on the memory, and the gateway must know a bound. */
const defaultRequests = 256;

/** What SGLang takes of a GPU beside `mem_fraction_static`: activations and CUDA graphs, as a share. */
const besideStatic = 0.1;

function build(given: ReadKwargs, traits: ModelTraits): Engine {
  const lora = planLora(given, traits);
  const problems = [...lora.problems, ...tokenizerProblem(given, traits)];
  if (problems.length > 0) throw new EngineOptionError('sglang', problems);
  const requests = numberOf(given.values, 'max_running_requests', defaultRequests);
  const values = new Map<string, unknown>([
    ...(traits.tokenizerSource === undefined ? [] : [['tokenizer_path', traits.tokenizerSource] as const]),
    ['max_running_requests', requests],
    ...given.values,
    ...lora.added,
  ]);
  // With it, the data-parallel copies of the attention share the GPUs of the tensor-parallel group.
  const copies = values.get('enable_dp_attention') === true ? 1 : numberOf(values, 'dp_size', 1);
  const share = values.has('mem_fraction_static') ? numberOf(values, 'mem_fraction_static', 1) + besideStatic : 1;
  // Data-parallel copies each need a port of their own, and one that is given would be given to all of them (0.5.23).
  const innerPorts = numberOf(values, 'dp_size', 1) > 1 ? 0 : 1;
  return {
    executable: 'sglang',
    install:
      'Install SGLang (pip install sglang, in a virtual environment), or name its sglang executable in gateway.engines.sglang.command.',
    command: (launch) => command(values, innerPorts > 0, launch),
    innerPorts,
    concurrency: requests,
    needs: { gpus: copies * numberOf(values, 'tp_size', 1) * numberOf(values, 'pp_size', 1), memoryShare: Math.min(1, share) },
    notes: [...given.notes, ...lora.notes],
    version,
    help: { args: ['serve', '--help'], timeoutMs: 120_000, read: (text) => helpOf(text, 'mem_fraction_static') },
    checkOptions: (installed) => unknownOptions(installed, 'SGLang', given),
    capabilities: [
      { probe: modelList, read: readMaxModelLen },
      { probe: { path: '/model_info', timeoutMs: 10_000 }, read: readModelInfo },
    ],
    probes: {
      // Generates a token: at least 1 s, and up to 20 s before it says 503. 503 until the warm-up is done.
      readiness: { path: '/health', timeoutMs: 25_000 },
      liveness: { path: '/health', timeoutMs: 25_000 },
      identity: modelList,
    },
    readServedModels: (body) => readModelIds(body).map((name) => fromServedName(name)),
    ...(traits.lora === undefined ? {} : { lora: support }),
    metricsPath: '/metrics',
    // A kernel that is compiled at the first request that needs it may take minutes (108 s seen), with nothing counted meanwhile.
    countersProveHang: false,
    readMetrics,
    readLog,
    // It looks every 5 s whether its requests are done, without a limit, and then kills itself: exit -9 is its clean end.
    stopping: { graceMs: 20_000 },
  };
}

const modelList = { path: '/v1/models', timeoutMs: 10_000 } as const;

/** `/model_info` of SGLang 0.5.17 and 0.5.23. */
function readModelInfo(body: unknown): Capabilities {
  if (!isMapping(body)) return {};
  const generates = body['is_generation'];
  return { ...visionOf(body['has_image_understanding']), ...(typeof generates === 'boolean' ? { embeddings: !generates } : {}) };
}

function tokenizerProblem({ values, writtenAs }: ReadKwargs, { tokenizerSource }: ModelTraits): readonly OptionProblem[] {
  const given = values.get('tokenizer_path');
  if (given === undefined || tokenizerSource === undefined || given === tokenizerSource) return [];
  const message = `got ${JSON.stringify(given)}, but model_loading_config.tokenizer_source is ${JSON.stringify(tokenizerSource)}; expected one of them`;
  return [{ path: [writtenAs.get('tokenizer_path') ?? 'tokenizer_path'], message }];
}
