/** A model that people often start with. Sizes are those of the files on the Hugging Face hub, November 2026. */
export interface KnownModel {
  /** What clients give as "model", unless they want another name. */
  readonly id: string;
  /** Id on the Hugging Face hub, with the quantisation for GGUF files. */
  readonly source: string;
  readonly format: 'safetensors' | 'gguf';
  readonly weightsGib: number;
  /** Tokens the model was made for. */
  readonly maxContext: number;
  /** Memory of the key-value cache, in 16 bits. */
  readonly cacheBytesPerToken: number;
  /** Whether the hub asks for a token of somebody who accepted the licence. */
  readonly gated: boolean;
}

const safetensors = 'safetensors';
const gguf = 'gguf';

/** Smallest first, by format. */
export const knownModels: readonly KnownModel[] = [
  model('qwen3-0.6b', 'Qwen/Qwen3-0.6B', safetensors, 1.4, 40_960, 114_688),
  model('gpt-oss-20b', 'openai/gpt-oss-20b', safetensors, 12.9, 131_072, 49_152),
  model('qwen2.5-7b-instruct', 'Qwen/Qwen2.5-7B-Instruct', safetensors, 14.2, 32_768, 57_344),
  model('llama-3.1-8b-instruct', 'meta-llama/Llama-3.1-8B-Instruct', safetensors, 15, 131_072, 131_072, true),
  model('qwen3-8b', 'Qwen/Qwen3-8B', safetensors, 15.3, 40_960, 147_456),
  model('gemma-3-12b-it', 'google/gemma-3-12b-it', safetensors, 22.7, 131_072, 393_216, true),
  model('gpt-oss-120b', 'openai/gpt-oss-120b', safetensors, 60.8, 131_072, 73_728),
  model('qwen3-32b', 'Qwen/Qwen3-32B', safetensors, 61, 40_960, 262_144),
  model('llama-3.3-70b-instruct', 'meta-llama/Llama-3.3-70B-Instruct', safetensors, 131.4, 131_072, 327_680, true),
  model('gemma-3-4b-it', 'ggml-org/gemma-3-4b-it-GGUF:Q4_K_M', gguf, 2.4, 131_072, 139_264),
  model('qwen2.5-7b-instruct', 'Qwen/Qwen2.5-7B-Instruct-GGUF:Q4_K_M', gguf, 4.4, 32_768, 57_344),
  model('qwen3-8b', 'Qwen/Qwen3-8B-GGUF:Q4_K_M', gguf, 4.7, 40_960, 147_456),
  model('gpt-oss-20b', 'ggml-org/gpt-oss-20b-GGUF', gguf, 11.3, 131_072, 49_152),
];

function model(
  id: string,
  source: string,
  format: KnownModel['format'],
  weightsGib: number,
  maxContext: number,
  cacheBytesPerToken: number,
  gated = false,
): KnownModel {
  return { id, source, format, weightsGib, maxContext, cacheBytesPerToken, gated };
}

/** Share of a GPU's memory that engines plan with, and the part of it that neither weights nor cache may use. */
const plannedShare = 0.9;
const overheadGib = 1.5;

/** The smallest power of two of GPUs of this memory that holds the model and 8192 tokens of cache; undefined: more than 16. */
export function gpusFor(model: KnownModel, gpuMemoryGib: number): number | undefined {
  const contextGib = (8192 * model.cacheBytesPerToken) / 2 ** 30;
  return [1, 2, 4, 8, 16].find((gpus) => gpus * (gpuMemoryGib * plannedShare - overheadGib) >= model.weightsGib + contextGib);
}

/**
 * A context length, in tokens, of which four requests at a time fit beside the weights: a power of two from 2048 to 32768, or the
 * model's own where that is shorter.
 */
export function contextFor(model: KnownModel, gpus: number, gpuMemoryGib: number): number {
  const freeBytes = (gpus * (gpuMemoryGib * plannedShare - overheadGib) - model.weightsGib) * 2 ** 30;
  const tokens = Math.max(2048, freeBytes / model.cacheBytesPerToken / 4);
  return Math.min(model.maxContext, 32_768, 2 ** Math.floor(Math.log2(tokens)));
}
