import { homedir } from 'node:os';
import { loadConfig, type LoadedConfig } from '../config/load.ts';
import { engines } from '../plugins/registry.ts';

/** Loads a config file with this machine's facts. @throws ConfigError */
export function loadConfigHere(file: string, env: Readonly<Record<string, string | undefined>> = process.env): LoadedConfig {
  return loadConfig(file, { env, engines, cores: navigator.hardwareConcurrency, homeDir: homedir() });
}
