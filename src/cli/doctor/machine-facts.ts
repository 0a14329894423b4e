import { access, constants, readFile, stat, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import type { StatusReply } from '../../admin/api.ts';
import { socketPath } from '../../admin/socket-path.ts';
import { cannotListen, messageOf } from '../../core/errors.ts';
import { machineGpus } from '../../supervisor/gpus/machine.ts';
import { toolRunner } from '../../supervisor/gpus/tool.ts';
import type { DirectoryFact, Facts, GatewayFact, GpuFact, PortFact } from './facts.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** A gateway on this machine answers its socket in a millisecond, busy or not. */
const answerTimeoutMs = 2000;

/** As `machineGpus` lists them, with the version of NVIDIA's driver. */
export async function gpuFact(env: Environment, signal: AbortSignal): Promise<GpuFact> {
  try {
    const { devices, lost } = await machineGpus(env).list(signal);
    const nvidia = devices.some(({ vendor }) => vendor === 'nvidia');
    const asked = nvidia ? await toolRunner(env)('nvidia-smi', ['--query-gpu=driver_version', '--format=csv,noheader'], signal) : undefined;
    return { kind: 'listed', devices, lost, driver: /^\s*(\d+[\d.]*)\s*$/m.exec(asked?.output ?? '')?.[1] };
  } catch (error) {
    signal.throwIfAborted();
    return { kind: 'broken', message: messageOf(error) };
  }
}

/** Text of Linux's `/proc/self/limits` → the limits of open files. */
export function readOpenFiles(limits: string): Facts['openFiles'] {
  const [, soft, hard] = /^Max open files\s+(\d+|unlimited)\s+(\d+|unlimited)/m.exec(limits) ?? [];
  if (soft === undefined || hard === undefined) return undefined;
  return { soft: readLimit(soft), hard: readLimit(hard) };
}

function readLimit(text: string): number {
  return text === 'unlimited' ? Infinity : Number(text);
}

/** Of this process, which Node has given its hard limit: the gateway's will be the same. Undefined where there is no /proc. */
export async function openFilesFact(): Promise<Facts['openFiles']> {
  return readOpenFiles(await readFile('/proc/self/limits', 'latin1').catch(() => ''));
}

export async function directoryFact(purpose: DirectoryFact['purpose'], path: string): Promise<DirectoryFact> {
  const found = await stat(path).catch(() => undefined);
  const there = found === undefined ? await nearest(dirname(path)) : path;
  const { bavail, bsize } = await statfs(there);
  const usable = found === undefined || found.isDirectory();
  const writable = usable && (await access(there, constants.W_OK | constants.X_OK).then(...outcome));
  return { purpose, path, mode: found === undefined ? undefined : found.mode & 0o777, writable, freeBytes: bavail * bsize };
}

const outcome = [() => true, () => false] as const;

/** The first of a directory and those above it that is there. */
async function nearest(path: string): Promise<string> {
  const there = await stat(path).then(...outcome);
  return there || dirname(path) === path ? path : nearest(dirname(path));
}

/** Asks on the socket of a state directory. */
export async function gatewayFact(stateDir: string): Promise<GatewayFact & { readonly status?: StatusReply }> {
  const { Client } = await import('undici');
  const client = new Client('http://localhost', {
    socketPath: socketPath(stateDir),
    headersTimeout: answerTimeoutMs,
    bodyTimeout: answerTimeoutMs,
  });
  try {
    const reply = await client.request({ method: 'GET', path: '/api/status' });
    const status = (await reply.body.json()) as StatusReply;
    return { kind: 'running', pid: status.pid, config: status.config.join(', '), status };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    // No socket, or one that a gateway left behind when it was killed.
    return code === 'ENOENT' || code === 'ECONNREFUSED' ? { kind: 'none' } : { kind: 'silent', message: messageOf(error) };
  } finally {
    await client.destroy();
  }
}

/** Whether the gateway could listen there; `ours` says whether a taken port is a running gateway's own. */
export async function portFact(key: PortFact['key'], host: string, port: number, ours: () => Promise<boolean>): Promise<PortFact> {
  const address = `${host}:${port}`;
  const problem = await tryToListen(host, port);
  if (problem === undefined) return { key, address, use: { kind: 'free' } };
  if (await ours()) return { key, address, use: { kind: 'ours' } };
  return { key, address, use: { kind: 'problem', message: cannotListen(problem, host, port, key).message } };
}

function tryToListen(host: string, port: number): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const server = createServer();
  server.once('error', (error) => resolve(error));
  server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  return promise;
}

/** Whether the admin listener at a URL is that of the gateway with `pid`. */
export async function isAdminOf(pid: number, url: string): Promise<boolean> {
  try {
    const { request } = await import('undici');
    const reply = await request(`${url}/api/status`, { headersTimeout: answerTimeoutMs, bodyTimeout: answerTimeoutMs });
    return ((await reply.body.json()) as { readonly pid?: unknown }).pid === pid;
  } catch {
    return false;
  }
}
