import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ConfigError, type ConfigProblem } from '../../config/problems.ts';
import { loadConfig, type LoadDeps } from '../../config/load.ts';
import { GatewayError, messageOf } from '../../core/errors.ts';
import type { DraftFile } from './render.ts';

/**
 * Writes the drafts below `directory`, replacing what is there. They are written and loaded beside their places first and moved
 * only when they are valid, so that nothing is ever there by half. `root` is the draft that names the others.
 * @returns warnings, with the files' final names.
 * @throws ConfigError for drafts that are not valid: nothing was written. GatewayError `file_unwritable`.
 */
export function placeFiles(directory: string, drafts: readonly DraftFile[], root: DraftFile, deps: LoadDeps): readonly ConfigProblem[] {
  const staging = makeStaging(directory);
  try {
    const inPlace = (problem: ConfigProblem): ConfigProblem => ({
      ...problem,
      file: problem.file.replace(staging, directory),
      message: problem.message.replaceAll(staging, directory),
    });
    for (const { path, text } of drafts) write(join(staging, path), text);
    const warnings = load(join(staging, root.path), deps, inPlace);
    for (const { path } of [...drafts.filter((draft) => draft !== root), root]) move(join(staging, path), join(directory, path));
    return warnings;
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

function load(file: string, deps: LoadDeps, inPlace: (problem: ConfigProblem) => ConfigProblem): readonly ConfigProblem[] {
  try {
    return loadConfig(file, deps).warnings.map(inPlace);
  } catch (error) {
    throw error instanceof ConfigError ? new ConfigError(error.problems.map(inPlace), { cause: error }) : error;
  }
}

/** In the same directory, so that moving is renaming: at once, or not at all. */
function makeStaging(directory: string): string {
  try {
    mkdirSync(directory, { recursive: true });
    return mkdtempSync(join(directory, '.gateway-init-'));
  } catch (error) {
    throw unwritable(directory, error);
  }
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function move(from: string, to: string): void {
  try {
    mkdirSync(dirname(to), { recursive: true });
    renameSync(from, to);
  } catch (error) {
    throw unwritable(to, error);
  }
}

function unwritable(path: string, error: unknown): GatewayError {
  return new GatewayError('file_unwritable', `Cannot write ${path}: ${messageOf(error)}.`, { cause: error });
}
