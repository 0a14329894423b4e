import { homedir } from 'node:os';
import { accepted, checkOptions, installedHelp } from '../app/option-check.ts';
import { loadEngines } from '../config/engine-modules.ts';
import { loadConfig, type LoadedConfig } from '../config/load.ts';
import { SourceTree } from '../config/source-tree.ts';
import { engines } from '../plugins/registry.ts';

/** Loads config files, joined, with this machine's facts and the engines they bring. @throws ConfigError */
export async function loadConfigHere(
  files: readonly string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<LoadedConfig> {
  const homeDir = homedir();
  const tree = new SourceTree(files, env);
  const known = await loadEngines(tree, { engines, homeDir });
  return loadConfig(tree, { env, engines: known, cores: navigator.hardwareConcurrency, homeDir });
}

/**
 * The same, and asks the installed engines whether they know the options; what could not be checked is among the warnings. The first
 * time with an engine it can take a minute.
 * @throws ConfigError, or the signal's reason
 */
export async function loadCheckedConfigHere(files: readonly string[], signal: AbortSignal): Promise<LoadedConfig> {
  const loaded = await loadConfigHere(files);
  const found = await checkOptions(loaded, { engines: loaded.engines, help: installedHelp(process.env) }, signal);
  return { ...loaded, warnings: [...loaded.warnings, ...accepted(found)] };
}
