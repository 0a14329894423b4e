import { resolve } from 'node:path';
import type { Config } from './config.ts';
import type { ResolveContext } from './context.ts';
import type { Access } from '../core/access.ts';
import { didYouMean } from '../core/did-you-mean.ts';
import { engineModule } from './engine-modules.ts';
import { resolveAdmin } from './exposure.ts';
import { localPath } from './local-path.ts';
import { defaultListen, type GatewayEntry, type HttpOptions } from './schema.ts';
import { defaultStateDir, modelCacheDir } from './user-dirs.ts';

type GatewayConfig = Pick<
  Config,
  | 'listen'
  | 'admin'
  | 'workers'
  | 'stateDir'
  | 'cache'
  | 'gpus'
  | 'acceleratorMatch'
  | 'enginePorts'
  | 'logLevel'
  | 'logFile'
  | 'settings'
  | 'preStopMs'
  | 'drainTimeoutMs'
  | 'engineCommands'
  | 'plugins'
>;

/** A setting's seconds in whole milliseconds. */
export function milliseconds(seconds: number): number {
  return Math.round(seconds * 1000);
}

/** `gateway:` and `http_options:`; what depends on the machine is filled in. */
export function resolveGateway(gateway: GatewayEntry, http: HttpOptions, access: Access, context: ResolveContext): GatewayConfig {
  const { limits } = gateway;
  const stateDir = resolveStateDir(gateway.state_dir, context);
  return {
    listen: resolveListen(gateway, http, context),
    admin: resolveAdmin(gateway.admin, access, context),
    workers: gateway.workers ?? Math.min(8, Math.max(1, Math.floor(context.cores / 2))),
    stateDir,
    cache: resolveCache(gateway.cache, stateDir, context),
    gpus: resolveGpuList(gateway.gpus, context),
    acceleratorMatch: gateway.accelerator_match,
    enginePorts: resolvePorts(gateway.engine_ports, context),
    logLevel: gateway.log.level,
    logFile: resolveFile(gateway.log.file, ['gateway', 'log', 'file'], context),
    settings: {
      limits: {
        maxBodyBytes: limits.max_body_bytes,
        maxMediaBodyBytes: limits.max_media_body_bytes,
        // Node takes no longer time for a part than for the whole.
        headersTimeoutMs: milliseconds(Math.min(limits.headers_timeout_s, limits.request_timeout_s)),
        requestTimeoutMs: milliseconds(limits.request_timeout_s),
        maxConnections: limits.max_connections,
        failedAuthPerMinute: limits.failed_auth_per_minute,
      },
      client: {
        heartbeatMs: milliseconds(gateway.timeouts.heartbeat_s),
        writeStallMs: milliseconds(gateway.timeouts.write_stall_s),
        keepAliveMs: milliseconds(gateway.timeouts.keepalive_s),
      },
      cors: { allowedOrigins: gateway.cors.allowed_origins, maxAgeS: gateway.cors.max_age_s },
      media: {
        fetch: gateway.media.fetch,
        allowedHosts: gateway.media.allowed_hosts.map((name) => name.toLowerCase()),
        maxImages: gateway.media.max_images,
        maxImageBytes: gateway.media.max_image_bytes,
        maxTotalBytes: limits.max_media_body_bytes,
        timeoutMs: milliseconds(gateway.media.timeout_s),
      },
      metricsByKey: gateway.metrics.by_key,
      debugHeaders: gateway.debug_headers,
      access,
    },
    preStopMs: milliseconds(gateway.timeouts.pre_stop_s),
    drainTimeoutMs: milliseconds(gateway.timeouts.drain_s),
    engineCommands: resolveCommands(gateway.engines, context),
    plugins: resolvePlugins(gateway.plugins, context),
  };
}

/** The name of an engine there is, however it was capitalised; else a problem naming those there are. */
export function knownEngine(name: string, context: ResolveContext): string | undefined {
  const lower = name.toLowerCase();
  return context.engines.has(lower) ? lower : undefined;
}

/** What to say of an engine there is not. */
export function unknownEngine(name: string, context: ResolveContext): string {
  const names = [...context.engines.keys()];
  return `there is no engine ${JSON.stringify(name)} in this version; expected one of ${names.join(', ')}${didYouMean(name, names)}`;
}

function resolveListen({ listen, admin }: GatewayEntry, http: HttpOptions, context: ResolveContext): Config['listen'] {
  for (const key of ['host', 'port'] as const) {
    const ours = listen[key];
    const rays = http[key];
    if (ours === undefined || rays === undefined || ours === rays) continue;
    context.warning(['http_options', key], `no effect: gateway.listen.${key} (${ours}) stands above it`);
  }
  const address = { host: listen.host ?? http.host ?? defaultListen.host, port: listen.port ?? http.port ?? defaultListen.port };
  if (address.port !== 0 && address.port === admin.port && address.host === admin.host) {
    context.problem(['gateway', 'admin', 'port'], `${admin.host}:${admin.port} is also where the API listens; expected another port`);
  }
  return address;
}

/** A file that need not be there yet. */
function resolveFile(given: string | undefined, path: readonly string[], context: ResolveContext): string | undefined {
  if (given === undefined) return undefined;
  const directory = context.directoryOf(path);
  return localPath(given, directory, context.homeDir) ?? resolve(directory, given);
}

function resolveStateDir(given: string | undefined, { env, homeDir, ...context }: ResolveContext): string {
  if (given !== undefined) {
    const directory = context.directoryOf(['gateway', 'state_dir']);
    return localPath(given, directory, homeDir) ?? resolve(directory, given);
  }
  return defaultStateDir(env, homeDir);
}

function resolveCache({ dir, max_bytes: maxBytes }: GatewayEntry['cache'], stateDir: string, context: ResolveContext): Config['cache'] {
  if (dir === undefined) return { dir: modelCacheDir(stateDir), maxBytes };
  const directory = context.directoryOf(['gateway', 'cache', 'dir']);
  return { dir: localPath(dir, directory, context.homeDir) ?? resolve(directory, dir), maxBytes };
}

function resolvePorts(ports: GatewayEntry['engine_ports'], context: ResolveContext): Config['enginePorts'] {
  const last = ports.first + ports.count - 1;
  if (last > 65_535) {
    context.problem(
      ['gateway', 'engine_ports'],
      `${ports.count} ports from ${ports.first} end at ${last}; expected the last one to be at most 65535`,
    );
  }
  return ports;
}

function resolveGpuList(gpus: readonly number[] | undefined, context: ResolveContext): readonly number[] | undefined {
  for (const [at, gpu] of (gpus ?? []).entries()) {
    if (gpus?.indexOf(gpu) !== at) context.problem(['gateway', 'gpus', at], `the GPU ${gpu} stands twice; expected each once`);
  }
  return gpus;
}

function resolvePlugins(names: readonly string[], context: ResolveContext): readonly string[] {
  return names.flatMap((name, at) => {
    const { url, path, problem } = engineModule(name, at, context.directoryOf(['gateway', 'plugins', at]), context.homeDir);
    if (url === undefined) context.problem(path, problem);
    return url ?? [];
  });
}

function resolveCommands(engines: GatewayEntry['engines'], context: ResolveContext): Config['engineCommands'] {
  const commands = new Map<string, readonly [string, ...string[]]>();
  for (const [name, { command }] of Object.entries(engines)) {
    const path = ['gateway', 'engines', name];
    const engine = knownEngine(name, context);
    if (engine === undefined) context.problem(path, unknownEngine(name, context), 'key');
    else if (commands.has(engine)) context.problem(path, `the engine ${engine} stands here twice; expected it once`, 'key');
    else if (command !== undefined) commands.set(engine, executable(command, context.directoryOf(path), context.homeDir));
  }
  return commands;
}

/** A text is one executable, never a line for a shell. A name without a slash is looked up on PATH when an engine is started. */
export function executable(command: string | readonly string[], directory: string, homeDir: string): readonly [string, ...string[]] {
  const [first = '', ...rest] = typeof command === 'string' ? [command] : command;
  const path = localPath(first, directory, homeDir) ?? (first.includes('/') ? resolve(directory, first) : first);
  return [path, ...rest];
}
