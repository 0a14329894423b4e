import type { InputLimits } from '../../core/input-limits.ts';
import { overLimit, shown, wrong } from './faults.ts';

/** Python's words for what JavaScript says otherwise: engines read Python's. */
function inJavaScript(pattern: string): string {
  return pattern
    .replaceAll('(?P<', '(?<')
    .replaceAll(/\(\?P=(\w+)\)/gu, String.raw`\k<$1>`)
    .replace(/^\(\?[aiLmsux]+\)/u, '')
    .replaceAll(/\\[AZz]/gu, '');
}

function compiles(pattern: string): boolean {
  return ['u', ''].some((flags) => {
    try {
      RegExp(pattern, flags);
      return true;
    } catch {
      // Not valid in this mode; the other one is laxer.
      return false;
    }
  });
}

/**
 * A regular expression that an engine will compile: short, because engines take exponential time over some, and well-formed, because some
 * versions die of one that is not (vLLM before 0.9, CVE-2025-48943).
 * @throws GatewayError `param_too_large`, `request_invalid`
 */
export function checkRegex(param: string, pattern: string, limits: InputLimits): void {
  if (pattern.length > limits.maxRegexChars) {
    throw overLimit(param, `is a regular expression of ${pattern.length} characters`, 'maxRegexChars', limits);
  }
  if (!compiles(inJavaScript(pattern))) throw wrong(param, `is not a regular expression: ${shown(pattern)}`);
}
