import type { z } from 'zod';
import { defaultInputLimits, type InputLimits } from '../core/input-limits.ts';
import { list, mapping, textLike, whole } from './fields.ts';

/** How much of an engine one request may ask for: `gateway.limits`, and those of a model, which stand above them. */
export const modelLimitsShape = {
  max_choices: whole(1, 1024).optional(),
  max_output_tokens: whole(1, Number.MAX_SAFE_INTEGER).optional(),
  max_logprobs: whole(0, 1_000_000).optional(),
  max_stop_sequences: whole(0, 1_000_000).optional(),
  max_tools: whole(0, 1_000_000).optional(),
  max_inputs: whole(1, 1_000_000).optional(),
  max_schema_bytes: whole(2, 1024 ** 3).optional(),
  max_schema_depth: whole(1, 64).optional(),
  max_regex_chars: whole(0, 1_000_000).optional(),
};

export const modelLimitsSchema = mapping(modelLimitsShape);

export const allowedParamsSchema = list(textLike(/^[A-Za-z_][\w.-]{0,127}$/, 'the name of a parameter'), 'a list of names of parameters');

type ModelLimits = z.infer<typeof modelLimitsSchema>;

/** @param above stands above `below`, and that above the defaults. */
export function resolveInputLimits(above: ModelLimits, below: ModelLimits): InputLimits {
  const of = (key: keyof ModelLimits, fallback: number): number => above[key] ?? below[key] ?? fallback;
  return {
    maxChoices: of('max_choices', defaultInputLimits.maxChoices),
    maxOutputTokens: of('max_output_tokens', defaultInputLimits.maxOutputTokens),
    maxLogprobs: of('max_logprobs', defaultInputLimits.maxLogprobs),
    maxStopSequences: of('max_stop_sequences', defaultInputLimits.maxStopSequences),
    maxTools: of('max_tools', defaultInputLimits.maxTools),
    maxInputs: of('max_inputs', defaultInputLimits.maxInputs),
    maxSchemaBytes: of('max_schema_bytes', defaultInputLimits.maxSchemaBytes),
    maxSchemaDepth: of('max_schema_depth', defaultInputLimits.maxSchemaDepth),
    maxRegexChars: of('max_regex_chars', defaultInputLimits.maxRegexChars),
  };
}
