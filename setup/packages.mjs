import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanInstall, copyProject } from './npm.mjs';
import { megabytes, sizeOf, step } from './say.mjs';
import { publish, sweep, withStage } from './staging.mjs';

/**
 * @typedef {{ readonly version?: string, readonly integrity?: string, readonly optional?: boolean, readonly devOptional?: boolean }} LockedPackage
 * @typedef {{ readonly packages?: Readonly<Record<string, LockedPackage>> }} Lockfile
 */

/**
 * Installs the packages of the lockfile unless they are there. They are made aside and shown in one rename, so `node_modules` is never half full.
 * @param {string} root
 * @param {string} node Node 24
 * @param {AbortSignal} signal
 */
export async function ensurePackages(root, node, signal) {
  const toolchain = join(root, '.toolchain');
  const target = join(root, 'node_modules');
  sweep(toolchain);
  if (present(root)) return;
  const work = () =>
    withStage(toolchain, async (stage) => {
      const made = join(stage, 'packages');
      copyProject(root, made);
      await cleanInstall(made, node, signal);
      // Another set-up in this clone may have been quicker, and its gateway may run from there.
      if (!present(root)) publish(join(made, 'node_modules'), target);
      return { count: Object.keys(readLock(join(target, '.package-lock.json'))?.packages ?? {}).length, sizeBytes: sizeOf(target) };
    });
  await step('packages of package-lock.json', work, ({ count, sizeBytes }) => `${count} packages, ${megabytes(sizeBytes)} unpacked`);
}

/** @param {string} root */
function present(root) {
  const lock = readLock(join(root, 'package-lock.json'));
  if (lock === undefined) throw new Error(`${join(root, 'package-lock.json')} is missing: this is not a whole clone`);
  return fits(lock, readLock(join(root, 'node_modules', '.package-lock.json')));
}

/**
 * Whether what npm installed is what the lockfile asks for. npm writes down what it installed as the last thing it does, so an interrupted
 * install has no record.
 * @param {Lockfile} lock `package-lock.json`
 * @param {Lockfile | undefined} installed `node_modules/.package-lock.json`
 * @returns {boolean}
 */
export function fits(lock, installed) {
  const there = installed?.packages;
  if (there === undefined) return false;
  return Object.entries(lock.packages ?? {}).every(([path, wanted]) => {
    if (path === '') return true;
    const found = there[path];
    // Binaries for other platforms are not installed.
    if (found === undefined) return wanted.optional === true;
    return found.version === wanted.version && found.integrity === wanted.integrity;
  });
}

/**
 * @param {string} file
 * @returns {Lockfile | undefined} undefined if the file is not there or was not written to its end
 */
function readLock(file) {
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}
