import type { Dialect } from './engine-plugin.ts';
import { dialect as fake } from './fake/dialect.ts';
import { dialect as llamacpp } from './llamacpp/dialect.ts';
import { dialect as sglang } from './sglang/dialect.ts';
import { dialect as vllm } from './vllm/dialect.ts';

/** The dialects of the registry's engines, without the rest of them: workers need no command lines, and no schemas of options. */
export const dialects: ReadonlyMap<string, Dialect> = new Map(Object.entries({ vllm, sglang, llamacpp, fake }));
