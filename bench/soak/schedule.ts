import { randomFrom } from '../../src/plugins/fake/engine/random.ts';

/** A model under soak: what its engines do, and what its clients may expect. */
export interface SoakModel {
  readonly id: string;
  readonly replicas: number;
  /** Whether a stream whose replica dies is gone on with on another one. */
  readonly resumes: boolean;
  readonly tokensPerS: number;
  /** Tokens of its longest reply. */
  readonly maxTokens: number;
}

export const models: readonly SoakModel[] = [
  { id: 'resuming', replicas: 4, resumes: true, tokensPerS: 40, maxTokens: 60 },
  { id: 'plain', replicas: 4, resumes: false, tokensPerS: 40, maxTokens: 60 },
  // As fast as it goes: several megabytes, more than sockets hold, for readers that are slower.
  { id: 'bulk', replicas: 2, resumes: false, tokensPerS: 0, maxTokens: 30_000 },
];

export type Manner =
  /** A reply in one piece. */
  | { readonly kind: 'whole' }
  | { readonly kind: 'stream' }
  /** A client that has lost interest after so long, whatever it has by then. */
  | { readonly kind: 'leave'; readonly stream: boolean; readonly afterMs: number }
  /** A stream whose client rests after each piece it reads. */
  | { readonly kind: 'slow'; readonly restMs: number };

export interface Ask {
  readonly atMs: number;
  readonly model: string;
  readonly tokens: number;
  readonly manner: Manner;
}

export interface Kill {
  readonly atMs: number;
  readonly model: string;
  readonly index: number;
  readonly signal: 'SIGKILL' | 'SIGTERM';
}

export interface Schedule {
  readonly asks: readonly Ask[];
  readonly kills: readonly Kill[];
}

/** Requests a second, on average, beside the bursts. */
const asksPerS = 30;
const burst = { everyMs: 15_000, asks: 50 };
const slowEveryMs = 8000;
/** The sixth start within ten minutes is a crash loop, from which a replica comes back only after minutes; the first start is none of ours. */
const killsOfOne = 4;
const windowMs = 10 * 60_000;

/** What happens in `durationMs`; the same for the same seed. `killEveryMs`: on average, while there is a replica that may be killed. */
export function schedule(seed: number, durationMs: number, killEveryMs: number): Schedule {
  const random = randomFrom(seed);
  return { asks: asksOf(random, durationMs), kills: killsOf(random, durationMs, killEveryMs) };
}

function asksOf(random: () => number, durationMs: number): readonly Ask[] {
  const asks: Ask[] = [];
  for (let atMs = 0; atMs < durationMs; atMs += -Math.log(1 - random()) * (1000 / asksPerS)) asks.push(askAt(atMs, random));
  for (let atMs = burst.everyMs / 3; atMs < durationMs; atMs += burst.everyMs)
    for (let count = 0; count < burst.asks; count += 1) asks.push(askAt(atMs, random));
  for (let atMs = 0; atMs < durationMs; atMs += slowEveryMs)
    asks.push({ atMs, model: 'bulk', tokens: 30_000, manner: { kind: 'slow', restMs: 20 + Math.floor(random() * 60) } });
  return asks.toSorted((a, b) => a.atMs - b.atMs);
}

function askAt(atMs: number, random: () => number): Ask {
  const model = random() < 0.5 ? 'resuming' : 'plain';
  const tokens = 1 + Math.floor(random() * 60);
  return { atMs, model, tokens, manner: mannerOf(random) };
}

function mannerOf(random: () => number): Manner {
  const draw = random();
  if (draw < 0.3) return { kind: 'whole' };
  if (draw < 0.8) return { kind: 'stream' };
  return { kind: 'leave', stream: random() < 0.7, afterMs: Math.floor(random() * 1000) };
}

function killsOf(random: () => number, durationMs: number, killEveryMs: number): readonly Kill[] {
  const kills: Kill[] = [];
  const replicas = models.flatMap(({ id, replicas: count }) => Array.from({ length: count }, (_, index) => ({ model: id, index })));
  for (let atMs = killEveryMs / 2; atMs < durationMs - killEveryMs / 2; atMs += killEveryMs * (0.5 + random())) {
    const recent = kills.filter((kill) => atMs - kill.atMs < windowMs);
    const mayDie = replicas.filter(
      ({ model, index }) => recent.filter((kill) => kill.model === model && kill.index === index).length < killsOfOne,
    );
    const victim = mayDie[Math.floor(random() * mayDie.length)];
    if (victim !== undefined) kills.push({ atMs, ...victim, signal: random() < 0.75 ? 'SIGKILL' : 'SIGTERM' });
  }
  return kills;
}
