import { createHash } from 'node:crypto';
import { replicaId } from '../core/ids.ts';
import type { ModelName, ReplicaId } from '../core/ids.ts';

/** A model's name as part of file names and ids: other characters are replaced, and a hash keeps replaced names apart. */
function fileSafe(model: ModelName): string {
  const safe = model.replaceAll(/[^A-Za-z0-9._-]/g, '_').slice(0, 64);
  return safe === model ? safe : `${safe}_${createHash('sha256').update(model).digest('hex').slice(0, 6)}`;
}

/** A replica's name, e.g. `smollm2-135m-0`; part of file names. */
export function replicaName(model: ModelName, index: number): string {
  return `${fileSafe(model)}-${index}`;
}

/**
 * An id for one run of a replica, e.g. `smollm2-135m-0-5f0c81aa`. Every start gets a new one: what was true of the old process (it
 * failed this request, these connections lead to it) must not be believed of the new one.
 * @param random 0 ≤ random < 1.
 */
export function runId(replica: string, random: number): ReplicaId {
  const unique = Math.floor(random * 2 ** 32)
    .toString(16)
    .padStart(8, '0');
  return replicaId(`${replica}-${unique}`);
}

/** Whether `file` is the log of a run of the same replica as `id`. */
export function isLogOfSameReplica(id: ReplicaId, file: string): boolean {
  const prefix = id.slice(0, -8);
  return file.startsWith(prefix) && /^[0-9a-f]{8}\.log(\.1)?$/.test(file.slice(prefix.length));
}
