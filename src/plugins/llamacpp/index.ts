import { isMapping } from '../../core/json.ts';
import type { Capabilities } from '../../core/table.ts';
import { lengthOf, toolsOf, visionOf } from '../capabilities.ts';
import type { Engine, EnginePlugin, ModelTraits, OptionProblem } from '../engine-plugin.ts';
import { defineEngine, EngineOptionError } from '../engine-plugin.ts';
import { helpOf, unknownOptions } from '../help-options.ts';
import { readModelIds } from '../served-models.ts';
import { command } from './command.ts';
import { lora } from './lora.ts';
import { dialect } from './dialect.ts';
import { readLog } from './log.ts';
import { readMetrics } from './metrics.ts';
import { options } from './options.ts';
import type { LlamaOptions } from './options.ts';
import { version } from './version.ts';

/** llama.cpp's server: GGUF models on CPU or GPU, one process a replica. */
export const llamacpp: EnginePlugin = defineEngine('llamacpp', dialect, options, build);

/** Options that number adapters of their own, from 0 on as the gateway does. */
const adapterOptions = ['lora', 'lora_scaled', 'lora_init_without_apply'];

function adapterProblems({ writtenAs }: LlamaOptions, { lora }: ModelTraits): readonly OptionProblem[] {
  if (lora === undefined) return [];
  return adapterOptions.flatMap((name) => {
    const written = writtenAs.get(name);
    const message = 'cannot be set beside lora_config, whose adapters the gateway names itself; expected only one of them';
    return written === undefined ? [] : [{ path: [written], message }];
  });
}

/** `/props` of llama-server 0.7.0 (build 11669); the context is that of one slot. */
function readProps(body: unknown): Capabilities {
  if (!isMapping(body)) return {};
  const { default_generation_settings: settings, modalities, chat_template_caps: template } = body;
  return {
    ...(isMapping(settings) ? lengthOf(settings['n_ctx']) : {}),
    ...(isMapping(modalities) ? visionOf(modalities['vision']) : {}),
    ...(isMapping(template) ? toolsOf(template['supports_tools']) : {}),
  };
}

/** Whether its route for embeddings works is not told over HTTP; without the option it does not, unless others started the engine. */
function configured({ args }: LlamaOptions): Capabilities {
  return args.includes('--embeddings') || args.includes('--embedding') ? { embeddings: true } : {};
}

function build(given: LlamaOptions, traits: ModelTraits): Engine {
  const problems = adapterProblems(given, traits);
  if (problems.length > 0) throw new EngineOptionError('llamacpp', problems);
  return {
    executable: 'llama-server',
    install:
      'Install llama.cpp (apt install llama.cpp on Debian testing or newer, brew install llama.cpp, or a release of ggml-org/llama.cpp), or name the executable in gateway.engines.llamacpp.command.',
    command: (launch) => command(given, launch),
    concurrency: given.parallel,
    needs: { gpus: given.gpus, memoryShare: 1, optional: true },
    notes: [],
    version,
    help: { args: ['--help'], timeoutMs: 10_000, read: (text) => helpOf(text, 'ctx_size') },
    checkOptions: (installed) => unknownOptions(installed, 'llama-server', given),
    capabilities: [{ probe: { path: '/props', timeoutMs: 5000 }, read: (body) => ({ ...readProps(body), ...configured(given) }) }],
    probes: {
      // 503 `Loading model` until the model is there.
      readiness: { path: '/health', timeoutMs: 5000 },
      // Answered by the HTTP threads, which share busy cores with the generation.
      liveness: { path: '/health', timeoutMs: 10_000 },
      identity: { path: '/v1/models', timeoutMs: 5000 },
    },
    readServedModels: readModelIds,
    ...(traits.lora === undefined ? {} : { lora }),
    metricsPath: '/metrics',
    countersProveHang: true,
    readMetrics,
    readLog,
    // A request whose client stays connected holds it for ever after SIGTERM; the gateway cuts its sockets before.
    stopping: { graceMs: 5000 },
  };
}
