import type { EnginePlugin } from './engine-plugin.ts';
import { fake } from './fake/index.ts';
import { llamacpp } from './llamacpp/index.ts';
import { sglang } from './sglang/index.ts';
import { vllm } from './vllm/index.ts';

/** Every engine there is, by the lower-case name that `llm_engine` gives. */
export const engines: ReadonlyMap<string, EnginePlugin> = new Map([vllm, sglang, llamacpp, fake].map((plugin) => [plugin.name, plugin]));
