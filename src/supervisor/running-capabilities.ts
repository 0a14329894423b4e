import { parseJson } from '../core/json.ts';
import type { Capabilities } from '../core/table.ts';
import type { Engine } from '../plugins/engine-plugin.ts';
import { getPage } from './probe.ts';
import type { ProbeDeps, ProbeTarget } from './probe.ts';

/** Asks an engine that is ready what it can do with its model; undefined where it tells nothing. Rejects only with `signal.reason`. */
export async function readCapabilities(
  deps: ProbeDeps,
  target: ProbeTarget,
  { capabilities: asked = [] }: Engine,
  signal: AbortSignal,
): Promise<Capabilities | undefined> {
  let told: Capabilities = {};
  for (const { probe, read } of asked) {
    const page = await getPage(deps, target, probe, signal);
    if (page !== undefined) told = { ...told, ...read(parseJson(page)) };
  }
  return Object.keys(told).length === 0 ? undefined : told;
}
