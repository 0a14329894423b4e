import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Interrupted } from './interrupt.mjs';

/**
 * Does one step of the set-up and tells of it in one line: the title when it begins, its result and the seconds when it ends.
 * @template T
 * @param {string} title
 * @param {() => Promise<T>} work
 * @param {(result: T) => string} describe
 * @returns {Promise<T>}
 */
export async function step(title, work, describe) {
  const started = performance.now();
  process.stderr.write(`setup: ${title} ... `);
  try {
    const result = await work();
    process.stderr.write(`${describe(result)}, ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
    return result;
  } catch (thrown) {
    process.stderr.write(thrown instanceof Interrupted ? 'interrupted\n' : `failed: ${firstLine(thrown)}\n`);
    throw thrown;
  }
}

/** @param {unknown} thrown */
function firstLine(thrown) {
  return (thrown instanceof Error ? thrown.message : String(thrown)).split('\n', 1).join('');
}

/**
 * @param {number} sizeBytes
 * @returns {string} in megabytes (10^6), as package managers count
 */
export function megabytes(sizeBytes) {
  return `${(sizeBytes / 1e6).toFixed(1)} MB`;
}

/**
 * @param {string} path a file or a directory; links count as themselves
 * @returns {number} bytes of all files below it
 */
export function sizeOf(path) {
  const entry = lstatSync(path);
  if (!entry.isDirectory()) return entry.size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}
