import type pino from 'pino';
import type { Clock } from '../../core/clock.ts';
import type { ProcessCensus } from './census.ts';
import { signalGroup, signalProcess } from './processes.ts';
import type { Family } from './processes.ts';

export interface KillDeps {
  readonly census: ProcessCensus;
  readonly clock: Clock;
  readonly log: pino.Logger;
}

/** Between two looks at whether a killed group is gone. */
const lookMs = { first: 5, longest: 500, factor: 1.5 } as const;
/** A process that SIGKILL does not end hangs in the kernel; the log says so after this long. */
const warnAfterMs = 10_000;

/**
 * SIGKILL to a replica's processes, until none is left.
 * @param leads whether its first process lives: then its group can be killed before anybody has been looked for.
 * @returns pids of those that had left its group.
 */
export async function killFamily(family: Family, leads: () => boolean, { census, clock, log }: KillDeps): Promise<ReadonlySet<number>> {
  const begun = clock.now();
  let warned = false;
  let wait: number = lookMs.first;
  const escaped = new Set<number>();
  // Again until nobody is found: a process may have forked while the others were killed.
  for (;;) {
    if (leads() || wait > lookMs.first) signalGroup(family.pgid, 'SIGKILL');
    const members = await census.membersOf(family);
    if (members.length === 0) return escaped;
    for (const member of members) {
      signalProcess(member.pid, 'SIGKILL');
      if (member.escaped) escaped.add(member.pid);
    }
    if (!warned && clock.now() - begun > warnAfterMs) {
      warned = true;
      log.warn(
        { replica: family.replica, pids: members.map(({ pid }) => pid) },
        'processes of a replica survive SIGKILL: they hang in the kernel',
      );
    }
    await clock.sleep(wait);
    wait = Math.min(lookMs.longest, wait * lookMs.factor);
  }
}

/** What an engine of a former gateway gets to end by itself: nobody waits for an answer of it any more. */
const reapGraceMs = 5_000;
const reapLookMs = 20;

/** Ends what a former gateway left of a replica: SIGTERM to its first process (or to all, where that is gone), then SIGKILL. */
export async function reapFamily(family: Family, deps: KillDeps): Promise<void> {
  const { census, clock } = deps;
  const deadline = clock.now() + reapGraceMs;
  let members = await census.livingMembers(family);
  const leader = members.find((pid) => pid === family.pgid);
  for (const pid of leader === undefined ? members : [leader]) signalProcess(pid, 'SIGTERM');
  while (members.length > 0 && clock.now() < deadline) {
    await clock.sleep(reapLookMs);
    members = await census.livingMembers(family);
    // Without its first process the rest has nobody to end it in order.
    if (leader !== undefined && !members.includes(leader)) break;
  }
  await killFamily(family, () => false, deps);
}
