import { accessSync, chmodSync, constants, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { GatewayError, messageOf } from '../core/errors.ts';
import { tryLock } from '../models/file-lock.ts';
import type { FileLock } from '../models/file-lock.ts';
import { identify, lives } from './providers/process-identity.ts';
import { replaceFile } from './replace-file.ts';

/** The right to use a state directory, held until it is given back or the process ends. */
export interface Claim {
  readonly dir: string;
  /**
   * Claims the directory anew where it was deleted or replaced since; false where it was not.
   * @throws GatewayError `already_running` where another gateway has claimed it meanwhile, `state_unusable`.
   */
  renew(): boolean;
  /** @throws GatewayError `state_unusable` where no file can be made in the directory: its disk is mounted read-only, or it is not ours any more. */
  assertWritable(): void;
  release(): void;
}

const lockName = 'owner.lock';
const ownerName = 'owner.json';

const owner = z.object({ pid: z.int(), startTime: z.int().optional(), bootId: z.string().optional() });

/** The process that holds the lock, by its own word; undefined while it has not said, or where the word is a former owner's. */
function readOwner(dir: string): number | undefined {
  try {
    const { pid, startTime, bootId } = owner.parse(JSON.parse(readFileSync(join(dir, ownerName), 'utf8')));
    if (startTime === undefined || bootId === undefined) return pid;
    return lives({ pid, startTime, bootId }) ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the owner of a state directory is the process `pid`, alive. A process that has ended, a zombie too, owns nothing. */
export function isOwner(dir: string, pid: number): boolean {
  if (readOwner(dir) !== pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process lives, even if we may not signal it.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function unusable(dir: string, thrown: unknown): GatewayError {
  return new GatewayError('state_unusable', `Cannot use the state directory ${dir}: ${messageOf(thrown)} (gateway.state_dir).`, {
    cause: thrown,
  });
}

function alreadyRunning(dir: string): GatewayError {
  const pid = readOwner(dir);
  const who = pid === undefined ? 'Another gateway' : `The gateway with pid ${pid}`;
  return new GatewayError(
    'already_running',
    `${who} runs on the state directory ${dir}. Stop it first, or give this one a gateway.state_dir of its own.`,
  );
}

const othersBits = 0o077;
const stickyBit = 0o1000;

/**
 * Takes the rights of others from a state directory that a gateway has used before: it holds the engines' keys and logs. A directory that
 * is another user's, or shared by its nature (`/tmp`), is left as it is; what is made in it is its owner's alone anyhow.
 * @returns what was wrong and is mended, for a warning.
 */
export function closeToOthers(dir: string): string | undefined {
  try {
    const { mode, uid } = statSync(dir);
    const used = existsSync(join(dir, 'leases'));
    if (!used || (mode & othersBits) === 0 || (mode & stickyBit) !== 0 || uid !== process.getuid?.()) return undefined;
    chmodSync(dir, mode & 0o700);
    const was = (mode & 0o777).toString(8).padStart(4, '0');
    return `the state directory ${dir} holds keys and could be read by other users (mode ${was}); it is now 0700`;
  } catch {
    // It is not there yet, or cannot be used: whoever uses it next says so.
    return undefined;
  }
}

/**
 * Makes this process the only owner of a state directory, which is created (0700) where it is not there. The lock is the kernel's, on a
 * file in the directory (`tryLock`), and ends with the process however that ends: it can be neither stale nor raced for, and holds across
 * containers that share the directory.
 * @throws GatewayError `already_running`, naming the owner's pid; `state_unusable`.
 */
export function claimStateDir(dir: string): Claim {
  let held = hold(dir);
  return {
    dir,
    renew: () => {
      if (lockedFile(dir) === held.file) return false;
      const former = held;
      held = hold(dir);
      // Its file is in no directory any more, so that this gives nothing of the new one away.
      former.lock.release();
      return true;
    },
    assertWritable: () => {
      try {
        accessSync(dir, constants.W_OK | constants.X_OK);
      } catch (thrown) {
        throw unusable(dir, thrown);
      }
    },
    release: () => held.lock.release(),
  };
}

interface Held {
  readonly lock: FileLock;
  readonly file: string | undefined;
}

function hold(dir: string): Held {
  const lock = locked(dir);
  if (lock === undefined) throw alreadyRunning(dir);
  try {
    replaceFile(join(dir, ownerName), JSON.stringify({ pid: process.pid, ...identify(process.pid) }));
    return { lock, file: lockedFile(dir) };
  } catch (thrown) {
    lock.release();
    throw unusable(dir, thrown);
  }
}

/** Which file is locked, whatever its name leads to later; undefined where there is none. */
function lockedFile(dir: string): string | undefined {
  const found = statSync(join(dir, lockName), { throwIfNoEntry: false });
  return found === undefined ? undefined : `${found.dev}:${found.ino}`;
}

function locked(dir: string): FileLock | undefined {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    return tryLock(join(dir, lockName));
  } catch (thrown) {
    throw unusable(dir, thrown);
  }
}
