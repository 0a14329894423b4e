import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { isOtherPid, lacksDescriptor, markerOf, readStat, signalGroup, signalProcess } from './processes.ts';
import type { Family } from './processes.ts';

/** A descriptor that is kept for the moment when no other is to be had. */
export class SpareDescriptor {
  #file: number | undefined = openSync('/dev/null', 'r');

  /** Makes it free for the next file that is opened. Twice is once. */
  give(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

const retryMs = 5;
/** Other threads may take the spare descriptor first; they give back what they have as their connections end. */
const patienceMs = 1_000;
const nobody = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** Reads files of /proc without giving way to anything, for `patienceMs` in all where descriptors are short. */
class PatientReader {
  /** Files for which no descriptor came free in time. */
  missed = 0;
  #left = Math.ceil(patienceMs / retryMs);

  /** Undefined where there is nothing to read any more, or it cannot be read. */
  read<T>(ask: () => T): T | undefined {
    for (;;) {
      try {
        return ask();
      } catch (thrown) {
        if (!lacksDescriptor(thrown)) return undefined;
        if (this.#left <= 0) {
          this.missed += 1;
          return undefined;
        }
        this.#left -= 1;
        Atomics.wait(nobody, 0, 0, retryMs);
      }
    }
  }
}

/**
 * SIGKILL to all processes of replicas, without waiting for them to end: for a process that is about to end itself. Their groups go first,
 * which takes no look at anything; then whoever left them and carries their marker.
 * @returns how many processes could not be looked at for want of descriptors; 0: none was missed.
 */
export function killMembersNow(families: readonly Family[], spare: SpareDescriptor): number {
  for (const { pgid } of families) signalGroup(pgid, 'SIGKILL');
  spare.give();
  const reader = new PatientReader();
  const groups = new Set(families.flatMap(({ pgid }) => pgid ?? []));
  const markers = new Set(families.map(({ replica }) => replica));
  const belongs = (pid: string): boolean => {
    const stat = readStat(reader.read(() => readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? '');
    if (stat === undefined || stat.zombie) return false;
    return groups.has(stat.pgid) || markers.has(markerOf(reader.read(() => readFileSync(`/proc/${pid}/environ`, 'latin1')) ?? '') ?? '');
  };
  const pids = reader.read(() => readdirSync('/proc'))?.filter(isOtherPid) ?? [];
  for (const pid of pids) if (belongs(pid)) signalProcess(Number(pid), 'SIGKILL');
  return reader.missed;
}
