import { resolve } from 'node:path';
import type { StaticUpstream } from './config.ts';
import type { ResolveContext } from './context.ts';
import { localPath } from './local-path.ts';
import type { ConfigPath } from './problems.ts';
import type { ModelEntry } from './schema.ts';

/** `gateway.upstreams` of a model. @param path of the entry */
export function resolveUpstreams(entry: ModelEntry, path: ConfigPath, context: ResolveContext): readonly StaticUpstream[] {
  const { upstreams = [], command, env } = entry.gateway;
  const seen = new Set<string>();
  const found = upstreams.map((upstream, index) => {
    const here = [...path, 'gateway', 'upstreams', index];
    const url = origin(upstream.url);
    if (url === undefined)
      context.problem([...here, 'url'], `expected an origin such as https://host:8000, got ${JSON.stringify(upstream.url)}`);
    else if (seen.has(url)) context.problem([...here, 'url'], `${url} stands twice; expected each upstream once`);
    if (url !== undefined) seen.add(url);
    const file = (key: 'key_file' | 'ca_file'): string | undefined => existing(upstream[key], [...here, key], context);
    if (upstream.ca_file !== undefined && url?.startsWith('http:') === true) {
      context.problem([...here, 'ca_file'], 'a certificate authority for an http:// upstream; expected https://', 'key');
    }
    return { url: url ?? upstream.url, keyFile: file('key_file'), caFile: file('ca_file') };
  });
  if (found.length > 0) tellIdle({ command, env, replicas: entry.deployment_config.num_replicas }, path, context);
  return found;
}

interface Idle {
  readonly command: unknown;
  readonly env: unknown;
  readonly replicas: unknown;
}

/** Settings of processes, where there are none. */
function tellIdle({ command, env, replicas }: Idle, path: ConfigPath, context: ResolveContext): void {
  const why = 'no effect: the replicas in gateway.upstreams are run by others';
  if (command !== undefined) context.warning([...path, 'gateway', 'command'], why);
  if (env !== undefined) context.warning([...path, 'gateway', 'env'], why);
  if (replicas !== undefined) context.warning([...path, 'deployment_config', 'num_replicas'], why);
}

/** Undefined for what is no bare origin: a path, query or password in it would be lost. */
function origin(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const bare = url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '' && url.password === '';
  return bare && (url.protocol === 'http:' || url.protocol === 'https:') ? url.origin : undefined;
}

function existing(written: string | undefined, path: ConfigPath, context: ResolveContext): string | undefined {
  if (written === undefined) return undefined;
  const directory = context.directoryOf(path);
  const file = localPath(written, directory, context.homeDir) ?? resolve(directory, written);
  if (!context.exists(file)) context.problem(path, `there is no file ${JSON.stringify(file)}; expected the path of one that is there`);
  return file;
}
