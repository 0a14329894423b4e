const fields = ['total_tokens', 'input_tokens', 'output_tokens'] as const;
type Field = (typeof fields)[number];

/** Longer than any of the fields with its number: what a chunk may cut off. */
const tailBytes = 48;
const eventMark = 'data:';
const digit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39;

/**
 * Reads how many tokens a reply used while it passes, without parsing it: the last `usage` that an OpenAI or Anthropic reply or stream
 * states. Inside a JSON string the quotes of a field's name would stand behind backslashes.
 */
export class TokenMeter {
  readonly #last = new Map<Field, number>();
  #tail: Buffer = Buffer.alloc(0);
  #events = 0;
  #seen = false;

  saw(chunk: Buffer): void {
    this.#seen = true;
    const bytes = this.#tail.length === 0 ? chunk : Buffer.concat([this.#tail, chunk]);
    for (const field of fields) {
      const value = lastNumber(bytes, `"${field}":`);
      if (value !== undefined) this.#last.set(field, value);
    }
    for (let at = chunk.indexOf(eventMark); at !== -1; at = chunk.indexOf(eventMark, at + eventMark.length)) this.#events += 1;
    this.#tail = Buffer.from(bytes.subarray(Math.max(0, bytes.length - tailBytes)));
  }

  /**
   * Tokens used; where the reply does not say, `promptTokens` and one for each event of its stream. Where no byte came: none, or the
   * prompt's, if the client `abandoned` the request.
   */
  total(promptTokens: number, abandoned: boolean): number {
    if (!this.#seen) return abandoned ? promptTokens : 0;
    const total = this.#last.get('total_tokens');
    const input = this.#last.get('input_tokens');
    const output = this.#last.get('output_tokens');
    if (total !== undefined) return total;
    return input === undefined && output === undefined ? promptTokens + this.#events : (input ?? promptTokens) + (output ?? this.#events);
  }
}

function lastNumber(bytes: Buffer, name: string): number | undefined {
  const at = bytes.lastIndexOf(name);
  if (at === -1) return undefined;
  let start = at + name.length;
  if (bytes[start] === 0x20) start += 1;
  let end = start;
  while (digit(bytes[end])) end += 1;
  // One that reaches the end may go on in the next chunk; then it is read with that.
  return end === start || end === bytes.length ? undefined : Number(bytes.toString('latin1', start, end));
}
