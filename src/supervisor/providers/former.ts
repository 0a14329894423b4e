import { markedProcesses } from './census.ts';
import type { FoundLease, Lease } from './lease.ts';
import { lives } from './process-identity.ts';
import type { Recovered, Remains } from './provider.ts';

/** What has become of the replicas that leases name. */
export interface Former extends Recovered {
  /** Ids of the leases of which no process is left. */
  readonly gone: readonly string[];
  /** Leases that say nothing to this version; what is left of their replicas is among `remains`. */
  readonly unreadable: readonly (FoundLease & { readonly kind: 'unreadable' })[];
}

/**
 * Tells, in one look at all processes, which replicas live. A process is ours by the marker in its environment alone: a pid, or a
 * process group's number, may be a stranger's by now. A group is ours while a process with the marker is in it, for the kernel gives no
 * number away that a group still has.
 */
export async function findFormer(found: readonly FoundLease[]): Promise<Former> {
  const marked = found.length === 0 ? new Map<string, never[]>() : await markedProcesses();
  const adoptable: Lease[] = [];
  const remains: Remains[] = [];
  const gone: string[] = [];
  for (const entry of found) {
    const members = marked.get(entry.id) ?? [];
    const first = entry.kind === 'lease' ? entry.lease.process : undefined;
    if (members.length === 0) gone.push(entry.id);
    else if (entry.kind === 'lease' && first !== undefined && members.some(({ pid }) => pid === first.pid) && lives(first))
      adoptable.push(entry.lease);
    else {
      const inGroup = members.some(({ pgid }) => pgid === first?.pid);
      remains.push({ id: entry.id, pgid: inGroup ? first?.pid : undefined });
    }
  }
  return { adoptable, remains, gone, unreadable: found.filter((entry) => entry.kind === 'unreadable') };
}
