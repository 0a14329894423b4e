import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { GatewayError } from '../core/errors.ts';
import type { ModelName } from '../core/ids.ts';
import type { ResolveContext } from './context.ts';
import { requireEngines } from './engine-modules.ts';
import { fit } from './fit.ts';
import type { LoadDeps } from './load.ts';
import type { Config } from './config.ts';
import { formatPath, type ConfigPath, type ConfigProblem } from './problems.ts';
import { resolveConfig } from './resolve.ts';
import { fileSchema } from './schema.ts';
import { readSecretFile } from './secret-file.ts';
import { validate } from './validate.ts';

export interface BuiltConfig {
  readonly config: Config;
  readonly engines: LoadDeps['engines'];
  /** What was accepted and has no effect: path and reason. */
  readonly warnings: readonly string[];
  /** Something to tell of a key of a model, found out later. @param below path from the model's entry on, or of the whole where `model` is undefined */
  located(model: ModelName | undefined, below: ConfigPath, message: string): ConfigProblem;
}

/**
 * Checks and resolves a config that a program built. Strings are taken as they are: nothing is filled in from the environment, and no
 * file is read, but for the modules in `gateway.plugins`. Relative paths start at `directory`.
 * @throws GatewayError `config_invalid` with all that is wrong, a line each, by its path in the value.
 */
export function configFromValue(value: unknown, directory: string, deps: LoadDeps): BuiltConfig {
  const problems = new Map<string, string>();
  const warnings: string[] = [];
  const sink = {
    problem: (path: ConfigPath, message: string): void => {
      const at = formatPath(path);
      if (!problems.has(at)) problems.set(at, line(path, message));
    },
    warning: (path: ConfigPath, message: string): void => {
      warnings.push(line(path, message));
    },
  };
  const fitted = fit(fileSchema, value, [], sink);
  const checked = validate(fileSchema, fitted, new Set(), sink.problem);
  const engines = requireEngines(fitted, directory, deps, sink.problem);
  const context: ResolveContext = {
    ...deps,
    engines,
    ...sink,
    exists: existsSync,
    secretFile: readSecretFile,
    wallClock: () => Date.now(),
    directoryOf: () => directory,
  };
  const { config, entries } = resolveConfig(checked, [join(directory, 'config')], context);
  if (problems.size > 0) throw new GatewayError('config_invalid', [...problems.values()].join('\n'));
  return {
    config,
    engines,
    warnings,
    located: (model, below, message) => ({
      file: '',
      line: 1,
      column: 1,
      path: formatPath([...((model && entries.get(model)) ?? []), ...below]),
      message,
    }),
  };
}

function line(path: ConfigPath, message: string): string {
  return path.length === 0 ? message : `${formatPath(path)}: ${message}`;
}
