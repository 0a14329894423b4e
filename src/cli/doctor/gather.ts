import { existsSync } from 'node:fs';
import type { Config } from '../../config/config.ts';
import { defaultStateDir, userCacheDir } from '../../config/user-dirs.ts';
import { defaultAdmin, defaultListen, defaultMaxConnections } from '../../config/schema.ts';
import type { EnginePlugin } from '../../plugins/engine-plugin.ts';
import { localUrl } from '../ready-block.ts';
import { engineFacts } from './engine-facts.ts';
import type { ConfigFact, DirectoryFact, Facts, PortFact } from './facts.ts';
import { directoryFact, gatewayFact, gpuFact, isAdminOf, openFilesFact, portFact } from './machine-facts.ts';

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly homeDir: string;
  readonly plugins: ReadonlyMap<string, EnginePlugin>;
  readonly node: Facts['node'];
}

/** Looks at everything, changing nothing but for a moment's listening on the ports. `config`: undefined where there is none, or none that is valid. */
export async function gather(
  config: Config | undefined,
  configFact: ConfigFact,
  { env, homeDir, plugins, node }: Surroundings,
  signal: AbortSignal,
): Promise<Facts> {
  const stateDir = config?.stateDir ?? defaultStateDir(env, homeDir);
  const { status, ...gateway } = await gatewayFact(stateDir);
  const [engines, gpus, openFiles, directories, ports] = await Promise.all([
    engineFacts(config, plugins, env, signal),
    gpuFact(env, signal),
    openFilesFact(),
    directoryFacts(config, stateDir, env, homeDir),
    portFacts(config, status),
  ]);
  return {
    node,
    config: configFact,
    engines,
    gpus,
    gpuNeeds: gpuNeeds(config, plugins),
    openFiles,
    maxConnections: config?.settings.limits.maxConnections ?? defaultMaxConnections,
    directories,
    ports,
    gateway,
    proc: existsSync('/proc/self/stat'),
  };
}

/** The state directory, and those that engines download to: a model may name another one for its own. */
function directoryFacts(
  config: Config | undefined,
  stateDir: string,
  env: Surroundings['env'],
  homeDir: string,
): Promise<readonly DirectoryFact[]> {
  const launched = config?.models.filter(({ upstreams }) => upstreams.length === 0);
  const caches = launched?.map((model) => model.env['HF_HOME'] ?? userCacheDir({ ...env, ...model.env }, homeDir)) ?? [
    userCacheDir(env, homeDir),
  ];
  return Promise.all([directoryFact('state', stateDir), ...[...new Set(caches)].map((path) => directoryFact('cache', path))]);
}

async function portFacts(
  config: Config | undefined,
  running: { readonly pid: number; readonly dataPort: number } | undefined,
): Promise<readonly PortFact[]> {
  const { listen, admin } = config ?? { listen: defaultListen, admin: defaultAdmin };
  const data =
    listen.port === 0 ? [] : [portFact('gateway.listen.port', listen.host, listen.port, async () => running?.dataPort === listen.port)];
  const ours = async (): Promise<boolean> => running !== undefined && isAdminOf(running.pid, localUrl(admin.host, admin.port));
  return Promise.all([...data, ...(admin.port === 0 ? [] : [portFact('gateway.admin.port', admin.host, admin.port, ours)])]);
}

function gpuNeeds(config: Config | undefined, plugins: ReadonlyMap<string, EnginePlugin>): Facts['gpuNeeds'] {
  return (config?.models ?? []).flatMap(({ name, engine, engineOptions, traits, gpus, upstreams }) => {
    const needs = upstreams.length > 0 ? undefined : plugins.get(engine)?.configure(engineOptions, traits).needs;
    const wanted = gpus ?? (needs === undefined || needs.optional === true ? 0 : needs.gpus);
    return needs === undefined || wanted === 0 ? [] : [{ model: name, gpus: wanted }];
  });
}
