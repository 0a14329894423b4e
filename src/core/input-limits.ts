/** How much of an engine one request may ask for. */
export interface InputLimits {
  /** Replies to one prompt: `n`, `best_of`. */
  readonly maxChoices: number;
  /** Tokens of a reply. */
  readonly maxOutputTokens: number;
  /** Log probabilities for each token. */
  readonly maxLogprobs: number;
  readonly maxStopSequences: number;
  readonly maxTools: number;
  /** Texts in one request: of embeddings, rerank, score, completions. */
  readonly maxInputs: number;
  /** Bytes of one JSON schema, and of a grammar. */
  readonly maxSchemaBytes: number;
  /** Levels of objects and lists in a JSON schema. */
  readonly maxSchemaDepth: number;
  /** Characters of one regular expression. */
  readonly maxRegexChars: number;
}

export const defaultInputLimits: InputLimits = {
  maxChoices: 16,
  maxOutputTokens: 1_000_000,
  // What vLLM allows unless told otherwise (`--max-logprobs`), and OpenAI.
  maxLogprobs: 20,
  maxStopSequences: 64,
  maxTools: 128,
  // OpenAI's for embeddings.
  maxInputs: 2048,
  maxSchemaBytes: 64 * 1024,
  maxSchemaDepth: 48,
  maxRegexChars: 256,
};

/** What the requests of a model may ask for. */
export interface InputPolicy {
  readonly limits: InputLimits;
  /** Parameters that are passed on although clients may not use them, or although nobody here knows them. */
  readonly allowed: readonly string[];
}

/** The key of `gateway.limits` that a limit is set by. */
export function limitKey(limit: keyof InputLimits): string {
  return limit.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
