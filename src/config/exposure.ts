import { isIP } from 'node:net';
import type { Access } from '../core/access.ts';
import type { Config } from './config.ts';
import type { ResolveContext } from './context.ts';
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
