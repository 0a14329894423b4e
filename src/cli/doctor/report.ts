import { printable } from '../printable.ts';
import type { Check } from './check.ts';

const colors = { ok: 32, warning: 33, failure: 31 } as const;

const indent = ' '.repeat(9);

/** A line a check, remedies below. */
export function reportText(checks: readonly Check[], color: boolean): string {
  const lines = checks.flatMap(({ name, level, message, remedy }) => {
    const label = level.padEnd(7);
    const shown = color ? `\u001B[${colors[level]}m${label}\u001B[39m` : label;
    const told = (text: string): string => printable(text).replaceAll('\n', `\n${indent}`);
    return [`${shown}  ${name}: ${told(message)}`, ...(remedy === undefined ? [] : [`${indent}→ ${told(remedy)}`])];
  });
  const count = (level: Check['level']): string => {
    const found = checks.filter((check) => check.level === level).length;
    return `${found} ${level}${found === 1 ? '' : 's'}`;
  };
  return [...lines, '', `${count('failure')}, ${count('warning')}.`, ''].join('\n');
}
