import type { LogSign } from './engine-plugin.ts';

/** A line of an engine's log that tells something. `$1` in a cause stands for the pattern's first group. */
export interface LogPattern {
  readonly pattern: RegExp;
  readonly sign: LogSign;
}

export const phase = (pattern: RegExp, words: string): LogPattern => ({ pattern, sign: { kind: 'phase', phase: words } });

/** @param permanent trying again without a change cannot help. */
export const cause = (pattern: RegExp, words: string, remedy: string, permanent: boolean): LogPattern => ({
  pattern,
  sign: { kind: 'cause', cause: words, remedy, permanent },
});

/** The sign of the first pattern that the line matches. */
export function firstSign(patterns: readonly LogPattern[], line: string): LogSign | undefined {
  for (const { pattern, sign } of patterns) {
    const match = pattern.exec(line);
    if (match === null) continue;
    return sign.kind === 'cause' ? { ...sign, cause: sign.cause.replace('$1', () => match[1] ?? ''), topic: topicOf(sign.cause) } : sign;
  }
  return undefined;
}

/** What stays of a pattern's words without its group: `cannot load the model: $1` is about `cannot load the model`. */
const topicOf = (words: string): string => words.replace(/[\s:'"(]*\$1['")]*/u, '').trim() || 'other';
