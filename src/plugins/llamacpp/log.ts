import type { LogSign } from '../engine-plugin.ts';
import { cause, firstSign, phase } from '../log-pattern.ts';
import type { LogPattern } from '../log-pattern.ts';

const fixOption = 'Correct the option in engine_kwargs; llama-server --help lists those of the installed version.';
const fixAdapter = 'Check the path in engine_kwargs; an adapter must be a GGUF file made for this model.';
const otherFile = 'Fetch the file again; the model must be a complete GGUF file.';

/**
 * Lines of llama-server 0.7.0, seen on the real engine (test/fixtures/engines/llamacpp). The first cause in a log is
 * the one to report, so what comes before it in another failure must not match: a bad adapter's log says
 * "invalid magic characters" first, as a bad model's does.
 */
const patterns: readonly LogPattern[] = [
  phase(/load_model: loading model/u, 'loading model'),
  phase(/load_model: initializing, n_slots/u, 'allocating context'),
  phase(/llama_server: model loaded/u, 'model loaded'),
  cause(/error: (invalid argument: .+)/u, '$1', fixOption, true),
  cause(/^error while handling argument (.+)/u, 'invalid option $1', fixOption, true),
  cause(/couldn't bind HTTP server socket/u, 'port in use', 'Another process took the port; the next start picks another.', false),
  cause(/HTTPLIB failed: (.+)/u, 'no connection to the model hub: $1', 'Check the network, or give model_source a local file.', false),
  cause(
    /exactly one out metadata, path_model, and file must be defined/u,
    'the model was not found on the model hub',
    'Check model_source (user/repository[:quant]) and HF_TOKEN, or give it a local file.',
    true,
  ),
  cause(/llama_adapter_lora_init\w*: (failed to .+)/u, 'LoRA adapter unusable: $1', fixAdapter, true),
  cause(/failed to load lora adapter '(.+)'/u, "LoRA adapter unusable: '$1'", fixAdapter, true),
  cause(
    /failed to allocate .*buffer|cudaMalloc failed: out of memory|CUDA error: out of memory|ggml_aligned_malloc: insufficient memory/u,
    'out of memory',
    'Lower ctx_size, parallel or n_gpu_layers, or use a smaller quantisation.',
    false,
  ),
  cause(/failed to open GGUF file (.+)/u, 'cannot open the model file $1', 'Check model_source: it must name a GGUF file.', true),
  cause(/unknown model architecture: (.+)/u, 'model architecture not supported: $1', 'Use a newer llama-server or another model.', true),
  cause(/error loading model: (.+)/u, 'cannot load the model: $1', otherFile, true),
  cause(/No space left on device/u, 'disk full', 'Free space where the model is stored.', false),
];

export function readLog(line: string): LogSign | undefined {
  return firstSign(patterns, line);
}
