import { randomFrom } from '../../src/plugins/fake/engine/random.ts';

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

const sharedTokens = 400;

/** Conversations that begin at random over `seconds` and have 1 to 12 turns, each 5 to 60 s after the last; in order of time. */
export function conversations(seed: number, count: number, seconds: number): readonly Turn[] {
  const random = randomFrom(seed);
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
