import type { Check, Target } from './check.ts';
import { mistakeChecks } from './mistakes.ts';
import { replyChecks } from './replies.ts';
import { streamChecks } from './streams.ts';

export const checks: readonly Check[] = [...mistakeChecks, ...replyChecks, ...streamChecks];

/** Names of the checks that fail, with what is wrong. @param passedOver how the names of checks begin that this server is not asked */
export async function failing(target: Target, ...passedOver: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const failures = new Map<string, string>();
  for (const { name, run } of checks.filter((check) => !passedOver.some((name) => check.name.startsWith(name)))) {
    const problem = await run(target).catch((error: unknown) => `no whole reply: ${String(error)}`);
    if (problem !== undefined) failures.set(name, problem);
  }
  return failures;
}

/** Each of them in a line. */
export const inLines = (failures: ReadonlyMap<string, string>): string => [...failures].map((entry) => entry.join(': ')).join('\n');
