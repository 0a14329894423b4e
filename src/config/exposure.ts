import { isIP } from 'node:net';
import type { Access } from '../core/access.ts';
import type { Config } from './config.ts';
import type { ResolveContext } from './context.ts';
import { resolveDigest } from './resolve-keys.ts';
import type { GatewayEntry } from './schema.ts';

/** Whether only this machine can reach what listens on `host`. */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

/** Tells of an API that others can reach and use without a key. */
export function tellOpenApi(
  { listen }: GatewayEntry,
  { host }: Config['listen'],
  access: Access,
  apps: Config['apps'],
  context: ResolveContext,
): void {
  if (isLoopback(host)) return;
  const open = [...apps.keys()].filter((prefix) => !access.keys.some((key) => key.prefix === undefined || key.prefix === prefix));
  if (open.length === 0) return;
  const path = listen.host === undefined ? ['http_options', 'host'] : ['gateway', 'listen', 'host'];
  const where = access.keys.length === 0 ? '' : ` of ${open.map((prefix) => (prefix === '' ? '/' : prefix)).join(', ')}`;
  context.warning(path, `whoever reaches ${host} can use the models${where}: no key is asked for; see gateway.keys`);
}

/** Where the admin listener is. One that others can reach has a key: whoever asks it can stop the gateway. */
export function resolveAdmin(admin: GatewayEntry['admin'], access: Access, context: ResolveContext): Config['admin'] {
  const path = ['gateway', 'admin'];
  const { host, port, allowed_hosts: allowedHosts } = admin;
  const given = admin.key ?? admin.key_file ?? admin.sha256;
  const sha256 = resolveDigest(admin, path, context);
  if (given === undefined && !isLoopback(host))
    context.problem(
      [...path, 'host'],
      `whoever reaches ${host} could stop the gateway; expected a key beside it (key_file, key or sha256), or 127.0.0.1`,
    );
  if (sha256 !== undefined && access.keys.some((key) => key.sha256 === sha256))
    context.problem(path, 'its key is also one of gateway.keys; expected another, which users of the API do not have', 'key');
  return { host, port, sha256, allowedHosts };
}
