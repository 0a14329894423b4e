import { parseJson } from '../core/json.ts';
import { securityWarning } from '../plugins/engine-version.ts';
import type { Engine } from '../plugins/engine-plugin.ts';
import { getPage } from './probe.ts';
import type { ProbeDeps, ProbeTarget } from './probe.ts';

/** What a running engine says it is. */
export interface EngineRelease {
  readonly version: string;
  /** Why this version should not be run; undefined where nothing is known against it. */
  readonly advisory: string | undefined;
}

/** Asks an engine that is ready for its version; undefined where it does not tell. Rejects only with `signal.reason`. */
export async function readRelease(
  deps: ProbeDeps,
  target: ProbeTarget,
  { version: asked }: Engine,
  signal: AbortSignal,
): Promise<EngineRelease | undefined> {
  if (asked?.running === undefined) return undefined;
  const page = await getPage(deps, target, asked.running.probe, signal);
  const version = page === undefined ? undefined : asked.running.read(parseJson(page));
  return version === undefined ? undefined : { version, advisory: securityWarning(version, asked.floor) };
}
