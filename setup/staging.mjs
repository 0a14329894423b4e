import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

// A process id may have been given to another process since: past this age a stage is a leftover whoever bears its number.
const oldestStageMs = 24 * 3600 * 1000;

/**
 * Gives `work` a new, empty directory inside `parent`, to be filled and then shown by `publish`; removed afterwards, whatever happened. Its
 * name says whose it is, so that `sweep` can tell what a killed process left.
 * @template T
 * @param {string} parent
 * @param {(stage: string) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withStage(parent, work) {
  mkdirSync(parent, { recursive: true });
  const stage = mkdtempSync(join(parent, `.tmp-${process.pid}-`));
  try {
    return await work(stage);
  } finally {
    rmSync(stage, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * Shows a finished file or directory at `target` in one rename. Whatever stands there goes away whole; a reader sees the old or the new one,
 * or for an instant none.
 * @param {string} staged inside a stage
 * @param {string} target
 */
export function publish(staged, target) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      renameSync(staged, target);
      return;
    } catch (thrown) {
      const taken = ['ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'EISDIR'].includes(codeOf(thrown));
      // More than once only if another process publishes the same thing just now.
      if (!taken || attempt === 5) throw thrown;
      setAside(target, join(dirname(staged), `replaced-${attempt}`));
    }
  }
}

/**
 * @param {string} target
 * @param {string} aside
 */
function setAside(target, aside) {
  try {
    renameSync(target, aside);
  } catch (thrown) {
    if (codeOf(thrown) !== 'ENOENT') throw thrown;
  }
}

/**
 * Removes the stages in `parent` that belong to no living process.
 * @param {string} parent
 */
export function sweep(parent) {
  if (!existsSync(parent)) return;
  for (const name of readdirSync(parent)) {
    const owner = /^\.tmp-(\d+)-/.exec(name)?.[1];
    if (owner !== undefined && isLeftover(join(parent, name), Number(owner))) {
      try {
        rmSync(join(parent, name), { recursive: true, force: true, maxRetries: 3 });
      } catch (thrown) {
        // An orphan of the killed process still writes into it; the next sweep gets the rest.
        if (!['ENOTEMPTY', 'EBUSY'].includes(codeOf(thrown))) throw thrown;
      }
    }
  }
}

/**
 * @param {string} stage
 * @param {number} owner
 */
function isLeftover(stage, owner) {
  if (!isAlive(owner)) return true;
  const made = statSync(stage, { throwIfNoEntry: false })?.mtimeMs;
  return made === undefined || Date.now() - made > oldestStageMs;
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    return codeOf(thrown) !== 'ESRCH';
  }
  if (process.platform !== 'linux') return true;
  try {
    // The first process of a container often reaps no orphans: they stay as zombies, state Z after the name in brackets.
    return !/\) Z [^)]*$/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch (thrown) {
    if (['ENOENT', 'ESRCH'].includes(codeOf(thrown))) return false;
    throw thrown;
  }
}

/**
 * @param {unknown} thrown
 * @returns {string}
 */
function codeOf(thrown) {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
}
