import { adapterRoutes } from '../adapter-routes.ts';
import type { LoraSupport, ModelTraits, OptionProblem } from '../engine-plugin.ts';
import { numberOf } from '../kwargs.ts';
import type { ReadKwargs } from '../kwargs.ts';

/** Messages of vLLM 0.26.0 and 0.32.0. What its engine process cannot take comes as status 500, and the engine lives on. */
export const support: LoraSupport = adapterRoutes('/v1', {
  loaded: /^The lora adapter '.*' has already been loaded\./su,
  unloaded: /^The lora adapter '.*' cannot be found\./su,
  missing: /^Loading lora .* failed: No adapter found for /su,
  unusable: /^Call to add_lora method failed: (?!.*(?:out of memory|CUDA error))|conflicts with a served base model/su,
});

/**
 * On a CPU vLLM 0.32.0 gives requests of the base, where a batch has adapters too, the weights of the last slot (its index there is -1): one
 * slot that stays empty keeps the base as it is. The kernels for GPUs leave such requests alone.
 */
const spareOnCpu = 1;

/** What `lora_config` and the LoRA options of `engine_kwargs` come to together. */
export interface LoraPlan {
  /** Whether adapters are loaded while the engine runs. */
  readonly dynamic: boolean;
  /** Options to add to those given. */
  readonly added: ReadonlyMap<string, unknown>;
  readonly notes: readonly OptionProblem[];
  readonly problems: readonly OptionProblem[];
}

/**
 * `max_loras` are the adapters that one batch may use (GPU slots), `max_cpu_loras` those kept in memory; with more loaded than that, vLLM
 * reads one from its directory again at each use.
 */
export function planLora({ values, writtenAs }: ReadKwargs, { lora }: ModelTraits): LoraPlan {
  const enabled = values.get('enable_lora');
  const at = (name: string): readonly string[] => [writtenAs.get(name) ?? name];
  const notes: OptionProblem[] = [];
  const problems: OptionProblem[] = [];
  if (lora === undefined) {
    if (enabled === true)
      notes.push({ path: at('enable_lora'), message: 'no effect on requests: without lora_config there are no adapters' });
    return { dynamic: false, added: new Map(), notes, problems };
  }
  const adapters = lora.maxAdaptersPerReplica;
  const spare = lora.cpu === true ? spareOnCpu : 0;
  const slots = numberOf(values, 'max_loras', adapters + spare);
  const kept = numberOf(values, 'max_cpu_loras', Math.max(slots, adapters));
  if (enabled === false)
    problems.push({ path: at('enable_lora'), message: 'got false, but there is a lora_config; expected true, or no lora_config' });
  if (kept < slots) problems.push({ path: at('max_cpu_loras'), message: `got ${kept}, expected at least max_loras (${slots})` });
  if (numberOf(values, 'api_server_count', 1) > 1) {
    problems.push({ path: at('api_server_count'), message: 'vLLM loads adapters at run time with one API server only; expected 1' });
  }
  if (slots < adapters + spare && spare > 0) {
    const message = `got ${slots}, expected at least ${adapters + spare}, one more than lora_config.max_num_adapters_per_replica: on a CPU vLLM answers the base's requests by the adapter in the last slot`;
    problems.push({ path: at('max_loras'), message });
  }
  if (slots > adapters + spare) {
    const message = `${slots} slots take GPU memory, but lora_config.max_num_adapters_per_replica is ${adapters}: no more are loaded`;
    notes.push({ path: at('max_loras'), message });
  }
  if (kept >= slots && kept < adapters) {
    const message = `fewer than lora_config.max_num_adapters_per_replica (${adapters}): vLLM reads the others from disk again at each use`;
    notes.push({ path: at('max_cpu_loras'), message });
  }
  const added = new Map<string, unknown>([
    ['enable_lora', true],
    ['max_loras', slots],
    ['max_cpu_loras', kept],
    ['api_server_count', 1],
  ]);
  return { dynamic: true, added, notes, problems };
}
