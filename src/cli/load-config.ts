import { homedir } from 'node:os';
import { loadConfig, type LoadedConfig } from '../config/load.ts';
import { engines } from '../plugins/registry.ts';

/** Loads config files, joined, with this machine's facts. @throws ConfigError */
export function loadConfigHere(files: readonly string[], env: Readonly<Record<string, string | undefined>> = process.env): LoadedConfig {
  return loadConfig(files, { env, engines, cores: navigator.hardwareConcurrency, homeDir: homedir() });
}
