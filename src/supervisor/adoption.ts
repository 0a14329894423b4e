import type { ModelName } from '../core/ids.ts';
import type { Lease } from './providers/lease.ts';
import type { DesiredModel } from './plan.ts';

/** What becomes of the engines that a former gateway left running. */
export interface Adoption {
  /** Indices differ within a model. */
  readonly adopt: readonly Lease[];
  readonly reap: readonly Lease[];
}

/** Those that the config would start just so are kept, up to the number it wants, the lowest indices first; the others go. */
export function chooseAdoptions(desired: readonly DesiredModel[], leases: readonly Lease[]): Adoption {
  const wanted = new Map<ModelName, DesiredModel>(desired.map((model) => [model.name, model]));
  const adopt: Lease[] = [];
  const reap: Lease[] = [];
  for (const lease of [...leases].sort((a, b) => a.index - b.index)) {
    const model = wanted.get(lease.model);
    const kept = adopt.filter((other) => other.model === lease.model);
    const fits = model !== undefined && model.fingerprint === lease.fingerprint && kept.length < model.replicas;
    if (fits && kept.every((other) => other.index !== lease.index)) adopt.push(lease);
    else reap.push(lease);
  }
  return { adopt, reap };
}
