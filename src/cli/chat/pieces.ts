import { z } from 'zod';
import { type ErrorCode, errorTable, GatewayError } from '../../core/errors.ts';
import { parseJson } from '../../core/json.ts';

/** What one event of a streamed answer says. */
export type Piece =
  | { readonly kind: 'text'; readonly text: string }
  /** Of a model that thinks before it answers. */
  | { readonly kind: 'thought'; readonly text: string }
  /** E.g. `stop`, `length`. */
  | { readonly kind: 'finished'; readonly reason: string }
  | { readonly kind: 'done' };

const text = z.string().nullish();
const chunk = z.object({
  choices: z
    .array(
      z.object({
        delta: z.object({ content: text, reasoning_content: text, reasoning: text }).optional(),
        finish_reason: text,
      }),
    )
    .optional(),
});
const failure = z.object({ error: z.object({ message: z.string(), code: z.union([z.string(), z.number()]).nullish() }) });

/** The error of a reply's body or of an event; undefined where it has none. */
export function readFailure(body: string): GatewayError | undefined {
  const parsed = failure.safeParse(parseJson(body));
  if (!parsed.success) return undefined;
  const { message, code } = parsed.data.error;
  const known = typeof code === 'string' && code in errorTable ? (code as ErrorCode) : 'upstream_failed';
  return new GatewayError(known, code === null || code === undefined ? message : `${message} (${code})`);
}

/** @throws GatewayError that an event brings; `upstream_invalid` for what is no event of a chat. */
export function readPieces(data: string): readonly Piece[] {
  if (data === '[DONE]') return [{ kind: 'done' }];
  const failed = readFailure(data);
  if (failed !== undefined) throw failed;
  const parsed = chunk.safeParse(parseJson(data));
  if (!parsed.success)
    throw new GatewayError('upstream_invalid', `The reply has an event that is none of a chat: ${JSON.stringify(data.slice(0, 200))}`);
  const choice = parsed.data.choices?.[0];
  const thought = choice?.delta?.reasoning_content ?? choice?.delta?.reasoning;
  const content = choice?.delta?.content;
  return [
    ...(thought ? [{ kind: 'thought' as const, text: thought }] : []),
    ...(content ? [{ kind: 'text' as const, text: content }] : []),
    ...(choice?.finish_reason ? [{ kind: 'finished' as const, reason: choice.finish_reason }] : []),
  ];
}
