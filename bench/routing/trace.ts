/** One request of a trace: a turn of a conversation. */
export interface Turn {
  readonly conversation: number;
  /** Seconds from the beginning of the trace. */
  readonly at: number;
  /** Tokens of the prompt: the system prompt and all turns so far. */
  readonly promptTokens: number;
  /** Tokens of the prompt that every conversation begins with. */
  readonly sharedTokens: number;
  /** Seconds an engine works on it. */
  readonly serviceS: number;
}

/** A generator of numbers 0 ≤ x < 1 that is the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const sharedTokens = 400;

/** Conversations that begin at random over `seconds` and have 1 to 12 turns, each 5 to 60 s after the last; in order of time. */
export function conversations(seed: number, count: number, seconds: number): readonly Turn[] {
  const random = seeded(seed);
  const turns: Turn[] = [];
  for (let conversation = 0; conversation < count; conversation += 1) {
    let at = random() * seconds;
    let promptTokens = sharedTokens;
    const length = 1 + Math.floor(random() * 12);
    for (let turn = 0; turn < length; turn += 1) {
      promptTokens += 30 + Math.floor(random() * 300);
      const serviceS = 1 + random() * 4;
      turns.push({ conversation, at, promptTokens, sharedTokens, serviceS });
      at += serviceS + 5 + random() * 55;
    }
  }
  return turns.sort((a, b) => a.at - b.at);
}
