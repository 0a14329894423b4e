import { readFile, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { isOtherPid, lacksDescriptor, markerOf, readStat, signalGroup } from './processes.ts';
import type { Family, ProcessStat } from './processes.ts';

/** Processes that are looked at together: each look holds a descriptor, of which there may be few (`ulimit -n`) where processes are many. */
const together = 8;
const retryMs = 20;
/** Half of what the same costs by way of `fs/promises`, which opens a file for a look of a few microseconds. */
const readText = promisify(readFile);

/** Asks until a descriptor is free for it: what could not be looked at must not pass for gone. */
async function withDescriptor<T>(ask: () => T | Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!lacksDescriptor(error)) throw error;
      await sleep(retryMs);
    }
  }
}

/** Names in `/proc` that are pids, but for our own; undefined where there is no /proc. */
async function otherPids(): Promise<readonly string[] | undefined> {
  const names = await withDescriptor(() => readdir('/proc')).catch(() => undefined);
  return names?.filter(isOtherPid);
}

/** Undefined where it has ended. The kernel answers this one from memory of its own: it is read at once, without a thread that waits. */
async function statOf(pid: string): Promise<ProcessStat | undefined> {
  const text = await withDescriptor(() => readFileSync(`/proc/${pid}/stat`, 'latin1')).catch(() => '');
  return readStat(text);
}

/**
 * Undefined where it has none, has ended, or may not be looked into. It lies in the process's own memory, which a process that hangs in
 * the kernel may hold locked: whoever reads it waits.
 */
export async function markerIn(pid: string): Promise<string | undefined> {
  return markerOf(await withDescriptor(() => readText(`/proc/${pid}/environ`, 'latin1')).catch(() => ''));
}

/** What is found by a look at each, a few at a time. */
export async function ofEach<I, T>(all: readonly I[], look: (one: I) => Promise<readonly T[]>): Promise<T[]> {
  const found: T[] = [];
  for (let first = 0; first < all.length; first += together)
    found.push(...(await Promise.all(all.slice(first, first + together).map(look))).flat());
  return found;
}

/** A living process of a replica. */
export interface Member {
  readonly pid: number;
  /** It has left the replica's group, and is known by its marker alone; false where the replica has no group that is surely its own. */
  readonly escaped: boolean;
}

type Found = Member & { readonly family: Family };

/** One look at all processes for the living members of several families; by family. */
async function lookFor(families: ReadonlySet<Family>): Promise<ReadonlyMap<Family, readonly Member[]>> {
  const pids = await otherPids();
  if (pids === undefined) return new Map([...families].map((family) => [family, leaderOf(family)]));
  const byGroup = Map.groupBy(families, ({ pgid }) => pgid);
  const byMarker = Map.groupBy(families, ({ replica }) => replica);
  const found = await ofEach(pids, async (pid): Promise<readonly Found[]> => {
    const stat = await statOf(pid);
    if (stat === undefined || stat.zombie) return [];
    const own = byGroup.get(stat.pgid) ?? byMarker.get((await markerIn(pid)) ?? '') ?? [];
    return own.map((family) => ({ family, pid: Number(pid), escaped: family.pgid !== undefined && family.pgid !== stat.pgid }));
  });
  return Map.groupBy(found, ({ family }) => family);
}

/** All that can be seen where there is no /proc (macOS). */
function leaderOf({ pgid }: Family): readonly Member[] {
  return pgid !== undefined && signalGroup(pgid, 0) ? [{ pid: pgid, escaped: false }] : [];
}

interface Asked {
  readonly family: Family;
  readonly answer: PromiseWithResolvers<readonly Member[]>;
}

/**
 * Tells which processes of replicas live. To look means to read two files of each process there is: all who ask while a look is under way
 * share the next one, or a hundred engines that end together would be a hundred looks at the hundreds of processes of the machine.
 */
export class ProcessCensus {
  #asked: Asked[] = [];
  #looking = false;

  /**
   * The living processes of a replica, as they are at some time after this was called: its group, and whoever carries its marker.
   * Zombies do not count: they hold nothing. Where there is no /proc (macOS) only the group can be seen, as its leader's pid.
   */
  membersOf(family: Family): Promise<readonly Member[]> {
    const answer = Promise.withResolvers<readonly Member[]>();
    this.#asked.push({ family, answer });
    if (!this.#looking) void this.#look();
    return answer.promise;
  }

  /** Their pids alone. */
  async livingMembers(family: Family): Promise<readonly number[]> {
    return (await this.membersOf(family)).map(({ pid }) => pid);
  }

  /** Never rejects: whoever asked gets the error. */
  async #look(): Promise<void> {
    this.#looking = true;
    while (this.#asked.length > 0) {
      const asked = this.#asked;
      this.#asked = [];
      try {
        const members = await lookFor(new Set(asked.map(({ family }) => family)));
        for (const { family, answer } of asked) answer.resolve(members.get(family) ?? []);
      } catch (thrown) {
        for (const { answer } of asked) answer.reject(thrown);
      }
    }
    this.#looking = false;
  }
}

/** Living processes that carry any replica's marker, by its value. Empty where there is no /proc. */
export async function markedProcesses(): Promise<ReadonlyMap<string, readonly { readonly pid: number; readonly pgid: number }[]>> {
  const found = await ofEach((await otherPids()) ?? [], async (pid) => {
    const replica = await markerIn(pid);
    if (replica === undefined) return [];
    const stat = await statOf(pid);
    return stat === undefined || stat.zombie ? [] : [{ replica, pid: Number(pid), pgid: stat.pgid }];
  });
  return Map.groupBy(found, ({ replica }) => replica);
}
