import type { z } from 'zod';
import type { fileSchema, gatewaySchema, modelSchema } from '../config/schema.ts';

/** A config file as a value: the same keys, defaults optional. */
export type FileConfig = z.input<typeof fileSchema>;
/** An entry of `llm_configs`: Ray's `LLMConfig`. */
export type LlmConfig = z.input<typeof modelSchema>;
/** What stands under `gateway:`. */
export type GatewayConfig = z.input<typeof gatewaySchema>;

/** The config itself; an editor completes and checks it. It is validated by whoever it is given to. */
export function defineConfig(config: FileConfig): FileConfig {
  return config;
}
