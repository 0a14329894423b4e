import { setImmediate, setTimeout } from 'node:timers/promises';
import type { Settings } from '../settings.ts';
import { RequestError, tokenize } from './openai.ts';
import type { FinishReason, Generation } from './openai.ts';

export interface Reply {
  readonly tokens: readonly string[];
  readonly finishReason: FinishReason;
}

/**
 * The reply to a request; depends on nothing but its arguments.
 * @param adapter whose name the reply begins with.
 * @throws RequestError when the prompt is too long.
 */
export function compose(settings: Settings, request: Generation, adapter?: string): Reply {
  const { max_model_len: context, tokens: length } = settings;
  if (context > 0 && request.promptTokens > context) {
    const message = `the prompt has ${request.promptTokens} tokens, but the context is ${context}`;
    throw new RequestError(message, request.kind === 'chat' ? 'messages' : 'prompt', 'context_length_exceeded');
  }
  const said = settings.text || request.prompt || 'Hello.';
  const source = tokenize(adapter === undefined ? said : `${adapter}: ${said}`);
  const natural = length > 0 ? repeat(source, length) : source;
  const rest = behind(natural, request.textSoFar);
  const limit = request.maxTokens ?? rest.length;
  return rest.length > limit ? { tokens: rest.slice(0, limit), finishReason: 'length' } : { tokens: rest, finishReason: 'stop' };
}

/** The tokens that come after `text`, which is made of the first ones. */
function behind(tokens: readonly string[], text: string): readonly string[] {
  let length = 0;
  let at = 0;
  while (length < text.length && at < tokens.length) {
    length += tokens[at]?.length ?? 0;
    at += 1;
  }
  return tokens.slice(at);
}

function repeat(source: readonly string[], length: number): readonly string[] {
  return Array.from({ length }, (_, at) => {
    const token = source[at % source.length] ?? '';
    // The first word has no blank before it; when it comes again, it needs one.
    return at > 0 && at % source.length === 0 && !/^\s/u.test(token) ? ` ${token}` : token;
  });
}

/**
 * Yields the tokens at the set speed, read anew for each, so that a change reaches replies under way.
 * @throws `signal.reason`
 */
export async function* paced(tokens: readonly string[], tokensPerS: () => number, signal: AbortSignal): AsyncGenerator<string> {
  let due = performance.now();
  for (const token of tokens) {
    const rate = tokensPerS();
    if (rate > 0) {
      due = Math.max(due + 1000 / rate, performance.now() - 1000 / rate);
      await setTimeout(Math.max(0, due - performance.now()), undefined, { signal });
    } else {
      // A turn of the event loop each: a client that leaves must be noticed even at full speed.
      await setImmediate(undefined, { signal });
    }
    yield token;
  }
}
