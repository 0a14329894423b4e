import type { LogSign } from '../engine-plugin.ts';
import { cause, firstSign, phase } from '../log-pattern.ts';
import type { LogPattern } from '../log-pattern.ts';
import { outOfMemory, torchCauses } from '../torch-causes.ts';

const fixOption = 'Correct the option in engine_kwargs; sglang serve --help lists those of the installed version.';
const lessMemory = 'Lower mem_fraction_static, max_running_requests or context_length, use more GPUs (tp_size), or quantise the model.';
const moreCache = 'Raise mem_fraction_static, lower context_length, or use more GPUs (tp_size).';
const otherModel = 'Use a newer SGLang, or another model.';

/**
 * Lines of SGLang 0.5.17, seen on the real engine (test/fixtures/engines/sglang). "The server is fired up" is no sign of anything: it is
 * also printed when the port belongs to another server.
 */
const patterns: readonly LogPattern[] = [
  phase(/server_args=ServerArgs\(/u, 'reading the model'),
  phase(/Init torch distributed begin/u, 'starting workers'),
  phase(/Load weight begin/u, 'loading weights'),
  phase(/Load weight end/u, 'weights loaded'),
  phase(/KV Cache is allocated/u, 'allocating KV cache'),
  phase(/Capture .*cuda graph begin/iu, 'capturing CUDA graphs'),
  phase(/Uvicorn running on/u, 'warming up'),
  cause(/error: unrecognized arguments: (.+)/u, 'unknown option $1', fixOption, true),
  cause(/error: (argument .+)/u, 'invalid option: $1', fixOption, true),
  cause(/error: (the following arguments are required: .+)/u, '$1', fixOption, true),
  cause(/Cannot find model module\. ('[^']+')/u, 'model architecture not supported: $1', otherModel, true),
  cause(
    /served_model_name cannot contain a colon/u,
    'SGLang takes no name with a colon',
    'Give the model an id without a colon (model_loading_config.model_id).',
    true,
  ),
  cause(
    /you need to specify both --max-lora-rank and --lora-target-modules/u,
    'LoRA is enabled without rank and target modules',
    'Set max_lora_rank and lora_target_modules in engine_kwargs, or give the model a lora_config.',
    true,
  ),
  cause(/Not enough memory\. Please try to increase --mem-fraction-static/u, 'no GPU memory is left for the KV cache', moreCache, true),
  outOfMemory(lessMemory),
  ...torchCauses,
  // An assertion is how SGLang refuses options that do not go together.
  cause(/AssertionError: (.{1,300}?)(?:\. |$)/u, '$1', fixOption, true),
  cause(/Subprocess (\w+ \(pid=\d+\) crashed with exit code -?\d+)/u, "SGLang's process $1", 'The log above this line says why.', false),
  cause(/Received sigquit from a child process/u, "one of SGLang's processes died", 'The log above this line says why.', false),
];

export function readLog(line: string): LogSign | undefined {
  return firstSign(patterns, line);
}
