import { markedProcesses, markerIn, ofEach } from './census.ts';
import type { FoundLease } from './lease.ts';
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
 * Tells which replicas live. A process is ours by the marker in its environment alone: a pid, or a process group's number, may be a
 * stranger's by now. A group is ours while a process with the marker is in it, for the kernel gives no number away that a group still has.
 * Where every first process lives no other is looked for: whoever takes it over has the rest with it.
 */
export async function findFormer(found: readonly FoundLease[]): Promise<Former> {
  const living = await ofEach(found, firstLives);
  const others = found.filter(({ id }) => !living.some((entry) => entry.id === id));
  const marked = others.length === 0 ? new Map<string, never[]>() : await markedProcesses();
  const remains: Remains[] = [];
  const gone: string[] = [];
  for (const entry of others) {
    const members = marked.get(entry.id) ?? [];
    const first = entry.kind === 'lease' ? entry.lease.process : undefined;
    if (members.length === 0) gone.push(entry.id);
    else remains.push({ id: entry.id, pgid: members.some(({ pgid }) => pgid === first?.pid) ? first?.pid : undefined });
  }
  return {
    adoptable: living.map(({ lease }) => lease),
    remains,
    gone,
    unreadable: found.filter((entry) => entry.kind === 'unreadable'),
  };
}

type ReadLease = FoundLease & { readonly kind: 'lease' };

/** The lease itself where the very process that it names lives, and is ours. */
async function firstLives(entry: FoundLease): Promise<readonly ReadLease[]> {
  if (entry.kind !== 'lease' || entry.lease.process === undefined) return [];
  const { process: first } = entry.lease;
  return (await markerIn(String(first.pid))) === entry.id && lives(first) ? [entry] : [];
}
