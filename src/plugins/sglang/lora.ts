import { adapterRoutes } from '../adapter-routes.ts';
import type { AdapterContents, LoraSupport, ModelTraits, OptionProblem } from '../engine-plugin.ts';
import { numberOf } from '../kwargs.ts';
import type { ReadKwargs } from '../kwargs.ts';

/**
 * SGLang 0.5.23 stacks `gate_proj` and `up_proj` of a layer, and fills in an `up_proj` that is missing; of one without its `gate_proj` the whole
 * server dies at the first request.
 */
function halfGateUp({ tensors }: AdapterContents): string | undefined {
  const all = new Set(tensors);
  const alone = tensors.find((name) => name.includes('.up_proj.') && !all.has(name.replace('.up_proj.', '.gate_proj.')));
  if (alone === undefined) return undefined;
  return `The adapter has ${alone}, and no gate_proj beside it, of which SGLang dies; expected both or neither (target_modules).`;
}

/** Messages of SGLang 0.5.17 and 0.5.23, which take a path that is not there for a name on the Hugging Face Hub. */
export const support: LoraSupport = adapterRoutes(
  '',
  {
    loaded: /^Failed to load LoRA adapter .* because it is already loaded$/su,
    unloaded: /^LoRA with name .* does not exist\./su,
    missing: /^Cannot find any model weights|^Repo id must |is not a local folder|^Can't find 'adapter_config\.json'/su,
    unusable: /is incompatible with the current|doesn't support|not supported|unsupported/isu,
  },
  halfGateUp,
);

/** What `lora_config` and the LoRA options of `engine_kwargs` come to together. */
export interface LoraPlan {
  /** Options to add to those given. */
  readonly added: ReadonlyMap<string, unknown>;
  readonly notes: readonly OptionProblem[];
  readonly problems: readonly OptionProblem[];
}

/** vLLM's default too. SGLang has none: without adapters at the start it must be told. */
const defaultRank = 16;

/** In SGLang 0.5.17 requests of the base model take one of the slots of a batch, as an adapter does. */
const baseSlots = 1;

export function planLora({ values, writtenAs }: ReadKwargs, { lora }: ModelTraits): LoraPlan {
  const enabled = values.get('enable_lora');
  const at = (name: string): readonly string[] => [writtenAs.get(name) ?? name];
  const notes: OptionProblem[] = [];
  const problems: OptionProblem[] = [];
  if (lora === undefined) {
    if (enabled === true) {
      problems.push({
        path: at('enable_lora'),
        message: 'without lora_config there are no adapters, and SGLang does not start; expected a lora_config',
      });
    }
    return { added: new Map(), notes, problems };
  }
  const adapters = lora.maxAdaptersPerReplica;
  const slots = numberOf(values, 'max_loras_per_batch', adapters + baseSlots);
  const kept = numberOf(values, 'max_loaded_loras', Math.max(slots, adapters));
  if (enabled === false)
    problems.push({ path: at('enable_lora'), message: 'got false, but there is a lora_config; expected true, or no lora_config' });
  if (kept < slots)
    problems.push({ path: at('max_loaded_loras'), message: `got ${kept}, expected at least max_loras_per_batch (${slots})` });
  else if (kept < adapters) {
    problems.push({
      path: at('max_loaded_loras'),
      message: `got ${kept}, expected at least lora_config.max_num_adapters_per_replica (${adapters})`,
    });
  }
  if (numberOf(values, 'dp_size', 1) > 1)
    problems.push({ path: at('dp_size'), message: 'SGLang loads adapters while it runs with one data-parallel copy only; expected 1' });
  if (slots > adapters + baseSlots) {
    const message = `${slots} slots take GPU memory, but lora_config.max_num_adapters_per_replica is ${adapters}: no more are loaded`;
    notes.push({ path: at('max_loras_per_batch'), message });
  }
  const added = new Map<string, unknown>([
    ['enable_lora', true],
    ['max_loras_per_batch', slots],
    ['max_loaded_loras', kept],
    ['max_lora_rank', numberOf(values, 'max_lora_rank', defaultRank)],
    ['lora_target_modules', values.get('lora_target_modules') ?? 'all'],
  ]);
  return { added, notes, problems };
}
