import { homedir } from 'node:os';
import { accepted, checkOptions, installedHelp } from '../app/option-check.ts';
import { loadConfig, type LoadedConfig } from '../config/load.ts';
import { engines } from '../plugins/registry.ts';

/** Loads config files, joined, with this machine's facts. @throws ConfigError */
export function loadConfigHere(files: readonly string[], env: Readonly<Record<string, string | undefined>> = process.env): LoadedConfig {
  return loadConfig(files, { env, engines, cores: navigator.hardwareConcurrency, homeDir: homedir() });
}

/**
 * The same, and asks the installed engines whether they know the options; what could not be checked is among the warnings. The first
 * time with an engine it can take a minute.
 * @throws ConfigError, or the signal's reason
 */
export async function loadCheckedConfigHere(files: readonly string[], signal: AbortSignal): Promise<LoadedConfig> {
  const loaded = loadConfigHere(files);
  const found = await checkOptions(loaded, { engines, help: installedHelp(process.env) }, signal);
  return { ...loaded, warnings: [...loaded.warnings, ...accepted(found)] };
}
