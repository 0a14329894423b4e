import { z } from 'zod';
import { readKwargs } from '../kwargs.ts';
import type { OptionRules, ReadKwargs } from '../kwargs.ts';
import { foreign, otherNames, outdated, owned } from './option-names.ts';

const whole = (min: number, max: number): z.ZodType => z.number().int().min(min).max(max).describe(`a whole number from ${min} to ${max}`);
const yesNo = z.boolean().describe('true or false');

const parallel = ['tensor', 'pipeline', 'data', 'prefill_context', 'decode_context'].map(
  (kind) => [`${kind}_parallel_size`, whole(1, 1024)] as const,
);

const rules: OptionRules = {
  engine: 'vLLM',
  otherNames,
  owned,
  foreign,
  outdated,
  known: new Map<string, z.ZodType>([
    ...parallel,
    ['gpu_memory_utilization', z.number().gt(0).lte(1).describe('a number above 0, at most 1')],
    ['max_num_seqs', whole(1, 65_536)],
    ['enable_lora', yesNo],
    ['max_loras', whole(1, 1024)],
    ['max_cpu_loras', whole(1, 65_536)],
    // The ranks that vLLM has kernels for (0.26.0, `--help=all`).
    [
      'max_lora_rank',
      z.union([1, 8, 16, 32, 64, 128, 256, 320, 512].map((rank) => z.literal(rank))).describe('1, 8, 16, 32, 64, 128, 256, 320 or 512'),
    ],
    ['api_server_count', whole(1, 64)],
    ['trust_remote_code', yesNo],
    ['enable_sleep_mode', yesNo],
  ]),
};

/** `engine_kwargs`: the names of vLLM's command line, `_` for `-`. */
export const options = z.record(z.string(), z.unknown()).transform((raw, context): ReadKwargs => {
  const given = readKwargs(raw, rules);
  for (const { path, message } of given.problems) context.addIssue({ code: 'custom', path: [...path], message });
  return given;
});
