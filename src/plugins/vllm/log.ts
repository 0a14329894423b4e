import type { LogSign } from '../engine-plugin.ts';
import { cause, firstSign, phase } from '../log-pattern.ts';
import type { LogPattern } from '../log-pattern.ts';
import { outOfMemory, torchCauses } from '../torch-causes.ts';

const fixOption = 'Correct the option in engine_kwargs; vllm serve --help=all lists those of the installed version.';
const lessMemory =
  'Lower max_model_len, max_num_seqs or gpu_memory_utilization, use more GPUs (tensor_parallel_size), or quantise the model.';
const moreCache = 'Raise gpu_memory_utilization, lower max_model_len, or use more GPUs (tensor_parallel_size).';
const otherModel = 'Use a newer vLLM, or another model.';

/**
 * Lines of vLLM 0.26.0, seen on the real engine (test/fixtures/engines/vllm). The first cause in a log is the one to report: vLLM says
 * what went wrong in the process where it did, and the others then say that they lost it.
 */
const patterns: readonly LogPattern[] = [
  phase(/non-default args:|API server version/u, 'reading the model'),
  phase(/Initializing a V1 LLM engine/u, 'starting workers'),
  phase(/Loading model from scratch|Starting to load model/u, 'loading weights'),
  phase(/Model loading took/u, 'weights loaded'),
  phase(/Using cache directory: \S*torch_compile_cache|Dynamo bytecode transform/u, 'compiling'),
  phase(/(?:GPU|CPU) KV cache size:/u, 'allocating KV cache'),
  phase(/Capturing CUDA graphs/u, 'capturing CUDA graphs'),
  phase(/Starting vLLM (?:API )?server on/u, 'starting HTTP'),
  cause(/error: unrecognized arguments: (.+)/u, 'unknown option $1', fixOption, true),
  cause(/error: (argument .+)/u, 'invalid option: $1', fixOption, true),
  cause(/Model architectures (\[.*?\]) are not supported/u, 'model architecture not supported: $1', otherModel, true),
  cause(
    /VLLM_ALLOW_RUNTIME_LORA_UPDATING cannot be used/u,
    'adapters cannot be loaded with more than one API server',
    'Remove api_server_count and data_parallel_size; the gateway balances between replicas.',
    true,
  ),
  cause(
    /(Free memory on device .+?\) on startup) is less than desired GPU memory utilization/u,
    'GPU memory is taken: $1',
    'Another process holds the GPU: end it, or lower gpu_memory_utilization.',
    false,
  ),
  cause(/No available memory for the cache blocks/u, 'no GPU memory is left for the KV cache', moreCache, true),
  cause(
    /the estimated maximum model length is (\d+)/u,
    'the KV cache does not hold one request of max_model_len tokens (about $1 would fit)',
    moreCache,
    true,
  ),
  cause(
    /larger than the (?:available|maximum number of tokens)/u,
    'the KV cache does not hold one request of max_model_len tokens',
    moreCache,
    true,
  ),
  cause(
    /Error in memory profiling/u,
    'another process gave GPU memory back while vLLM measured it',
    'Nothing, if the next start succeeds; else end the other process on this GPU.',
    false,
  ),
  cause(
    /max_model_len \((\d+)\) is greater than the derived/u,
    'max_model_len ($1) is more than the model was made for',
    'Lower max_model_len, or leave it out.',
    true,
  ),
  cause(/invalid tool call parser: (\S+)/u, 'unknown tool_call_parser $1', fixOption, true),
  cause(/invalid reasoning parser: (\S+)/u, 'unknown reasoning_parser $1', fixOption, true),
  cause(/No adapter found for (.+)/u, 'no LoRA adapter in $1', 'An adapter is a directory with adapter_config.json.', true),
  outOfMemory(lessMemory),
  ...torchCauses,
  // Reached when no line before named the reason: the reasons above are written before this one.
  cause(/failed to be inspected/u, 'the model could not be inspected', otherModel, true),
  cause(/Value error, (.{1,300}?)(?:\. | \[type=|$)/u, '$1', fixOption, true),
  cause(
    /Worker proc \S+ died unexpectedly \(exit code: (-?\d+)\)/u,
    "vLLM's worker process died (exit code $1)",
    "-9 is mostly the kernel's out-of-memory killer; else the log above this line says why.",
    false,
  ),
  cause(/EngineDeadError|Engine core initialization failed/u, "vLLM's engine process died", 'The log above this line says why.', false),
];

export function readLog(line: string): LogSign | undefined {
  return firstSign(patterns, line);
}
