import { z } from 'zod';
import { readKwargs } from '../kwargs.ts';
import type { OptionRules, ReadKwargs } from '../kwargs.ts';
import { foreign, otherNames, outdated, owned } from './option-names.ts';

const whole = (min: number, max: number): z.ZodType => z.number().int().min(min).max(max).describe(`a whole number from ${min} to ${max}`);
const yesNo = z.boolean().describe('true or false');

const rules: OptionRules = {
  engine: 'SGLang',
  otherNames,
  owned,
  foreign,
  outdated,
  known: new Map<string, z.ZodType>([
    ...['tp_size', 'pp_size', 'dp_size', 'ep_size'].map((name) => [name, whole(1, 1024)] as const),
    ['mem_fraction_static', z.number().gt(0).lt(1).describe('a number between 0 and 1')],
    ['max_running_requests', whole(1, 65_536)],
    ['enable_dp_attention', yesNo],
    ['enable_lora', yesNo],
    ['max_loras_per_batch', whole(1, 1024)],
    ['max_loaded_loras', whole(1, 65_536)],
    ['max_lora_rank', whole(1, 4096)],
    // With more, requests hang for ever once the queue is full, and /health stays 200 (sgl-project/sglang#33858).
    ['tokenizer_worker_num', z.literal(1).describe('1')],
    ['trust_remote_code', yesNo],
  ]),
};

/** `engine_kwargs`: the names of SGLang's server arguments. */
export const options = z.record(z.string(), z.unknown()).transform((raw, context): ReadKwargs => {
  const given = readKwargs(raw, rules);
  for (const { path, message } of given.problems) context.addIssue({ code: 'custom', path: [...path], message });
  return given;
});
