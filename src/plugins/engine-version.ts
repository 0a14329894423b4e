import { isMapping } from '../core/json.ts';
import type { Probe } from './engine-plugin.ts';

/** How the version of an engine is asked for, and the oldest that is safe. */
export interface EngineVersion {
  /** Of an executable; undefined where it has none of its own. */
  readonly installed?: InstalledVersion;
  /** Of an engine that is ready: what runs, whatever is installed now. */
  readonly running?: RunningVersion;
  readonly floor?: SecurityFloor;
}

export interface InstalledVersion {
  /** Makes the executable print its version and end. */
  readonly args: readonly string[];
  /** Python engines import half of torch first: seconds, and more on a cold disk. */
  readonly timeoutMs: number;
  /** The version in what it printed (stdout and stderr together), e.g. `0.32.0`; undefined where there is none. */
  read(output: string): string | undefined;
}

export interface RunningVersion {
  /** Authenticated; a 200 with JSON. */
  readonly probe: Probe;
  /** The version in that JSON; undefined where there is none. */
  read(body: unknown): string | undefined;
}

/** A member of a JSON object that must be text; undefined where it is not. */
export function textOf(body: unknown, member: string): string | undefined {
  const value = isMapping(body) ? body[member] : undefined;
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** The oldest version known to have the fixes of an advisory. */
export interface SecurityFloor {
  readonly version: string;
  /** What older ones are open to, and its CVE numbers. */
  readonly advisory: string;
}

/** Numbers of a version, and whether it comes before the release it is named after (`0.32.0rc1`, `0.32.0.dev5`). */
function parse(version: string): { readonly numbers: readonly number[]; readonly before: boolean } | undefined {
  const [, digits, rest = ''] = /^[vb]?(\d+(?:\.\d+)*)(.*)$/i.exec(version.trim()) ?? [];
  if (digits === undefined) return undefined;
  return { numbers: digits.split('.').map(Number), before: /^[-_.]?(?:a|b|c|rc|alpha|beta|pre|dev)[-_.]?\d*/i.test(rest) };
}

/** Whether `version` comes before `other`; undefined where one of them is no version. */
export function olderThan(version: string, other: string): boolean | undefined {
  const [left, right] = [parse(version), parse(other)];
  if (left === undefined || right === undefined) return undefined;
  for (let at = 0; at < Math.max(left.numbers.length, right.numbers.length); at += 1) {
    const difference = (left.numbers[at] ?? 0) - (right.numbers[at] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return left.before && !right.before;
}

/** What to warn of when this version runs; undefined where nothing is known against it. */
export function securityWarning(version: string, floor: SecurityFloor | undefined): string | undefined {
  if (floor === undefined || olderThan(version, floor.version) !== true) return undefined;
  return `${version} is older than ${floor.version}: ${floor.advisory}`;
}
