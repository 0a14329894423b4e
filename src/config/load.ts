import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ModelName } from '../core/ids.ts';
import type { EnginePlugin } from '../plugins/engine-plugin.ts';
import type { Config } from './config.ts';
import type { ResolveContext } from './context.ts';
import { fit } from './fit.ts';
import type { Environment } from './interpolate.ts';
import { ConfigError, type ConfigPath, type ConfigProblem } from './problems.ts';
import { resolveConfig } from './resolve.ts';
import { fileSchema } from './schema.ts';
import { readSecretFile } from './secret-file.ts';
import { SourceTree } from './source-tree.ts';
import { validate } from './validate.ts';

export interface LoadDeps {
  readonly env: Environment;
  readonly engines: ReadonlyMap<string, EnginePlugin>;
  /** CPU cores of the machine: the default of `gateway.workers` follows from it. */
  readonly cores: number;
  /** Absolute; what `~` stands for. */
  readonly homeDir: string;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Those it was checked by. */
  readonly engines: ReadonlyMap<string, EnginePlugin>;
  /** What was accepted and has no effect, in the order of the file. */
  readonly warnings: readonly ConfigProblem[];
  /** Absolute paths of all files that were read: those given and those their `llm_configs` name. */
  readonly sources: readonly string[];
  /** Of their text: another one says that one of them was changed. */
  readonly digest: string;
  /** Something to tell of a key of a model, found out after loading, with its place. @param below path from the model's entry on, or of the whole where `model` is undefined */
  located(model: ModelName | undefined, below: ConfigPath, message: string): ConfigProblem;
}

/**
 * Reads, checks and resolves config files, and the files their `llm_configs` name. Several files are joined: their models and
 * applications one after the other, their settings key by key; a setting that two files give is a mistake.
 * @param given one file, or at least one; or these as a tree that may have been read already
 * @throws ConfigError with all that is wrong, in the order of the files.
 */
export function loadConfig(given: string | readonly string[] | SourceTree, deps: LoadDeps): LoadedConfig {
  const tree = given instanceof SourceTree ? given : new SourceTree(typeof given === 'string' ? [given] : given, deps.env);
  const written = tree.read();
  if (written === undefined) throw new ConfigError(tree.problems);
  const fitted = fit(fileSchema, written, [], tree);
  const value = validate(fileSchema, fitted, tree.interpolated, (path, message) => tree.problem(path, message));
  const context: ResolveContext = {
    ...deps,
    exists: existsSync,
    secretFile: readSecretFile,
    wallClock: () => Date.now(),
    directoryOf: (path) => tree.directoryOf(path),
    problem: (path, message, spot) => tree.problem(path, message, spot),
    warning: (path, message) => tree.warning(path, message),
  };
  const { config, entries } = resolveConfig(
    value,
    tree.given.map((file) => resolve(file)),
    context,
  );
  if (tree.problems.length > 0) throw new ConfigError(inOrder(tree.problems));
  return {
    config,
    engines: deps.engines,
    warnings: inOrder(tree.warnings),
    sources: [...tree.files],
    digest: tree.digest(),
    located: (model, below, message) => tree.located([...((model && entries.get(model)) ?? []), ...below], message),
  };
}

/** By file and place. */
export function inOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  return problems.toSorted((a, b) => compareText(a.file, b.file) || a.line - b.line || a.column - b.column);
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
