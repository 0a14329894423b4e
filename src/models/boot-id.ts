import { readFileSync } from 'node:fs';

let known: string | undefined;

/**
 * Another one after each start of the machine; `''` where the system tells none. What was written before a crash of the machine, and not only
 * of the gateway, is doubtful: it may not have been on the disk yet.
 */
export function bootId(): string {
  known ??= read();
  return known;
}

function read(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
