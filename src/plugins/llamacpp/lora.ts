import type { AdapterContents, LoraSupport } from '../engine-plugin.ts';

/**
 * Of a GGUF file that is no adapter, or whose path cannot be written into `--lora-scaled`, llama-server 0.7.0 makes a failed start, and the
 * base would be gone with it.
 */
function problem({ path, config }: AdapterContents): string | undefined {
  if (/[,:]/u.test(path)) return `llama-server cannot be given the path ${JSON.stringify(path)}; expected one without a comma or a colon.`;
  const { 'general.type': type, 'adapter.type': kind } = config;
  if (type === 'adapter' && kind === 'lora') return undefined;
  return `${path} is no LoRA adapter, but a GGUF file of type ${JSON.stringify(kind ?? type ?? 'model')}; expected general.type adapter, adapter.type lora.`;
}

/** Adapters are called by their place on the command line (`command.ts`). */
export const lora: LoraSupport = { kind: 'at-start', format: 'gguf', handle: String, problem };
