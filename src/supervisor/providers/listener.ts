import { readdir, readFile, readlink } from 'node:fs/promises';
import type { Listener } from './provider.ts';

const listening = '0A';

/**
 * Inodes of the sockets that listen on a TCP port, from the text of `/proc/net/tcp` or `tcp6`: local address and port (in hexadecimal),
 * state and inode are fields 2, 4 and 10 of a line.
 */
export function listeningInodes(table: string, port: number): readonly string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return table.split('\n').flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const inode = fields[9];
    return inode !== undefined && fields[3] === listening && fields[1]?.endsWith(`:${hex}`) === true ? [inode] : [];
  });
}

/** Inodes of the sockets a process has open; undefined where that may not be seen. */
async function socketsOf(pid: number): Promise<readonly string[] | undefined> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => undefined);
  if (names === undefined) return undefined;
  const links = await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => '')));
  return links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []);
}

/**
 * Who listens on `port` of this machine: `ours` when every listener is a socket of one of `pids`; `unknown` where there is no /proc, no
 * listener in this network namespace, or the processes cannot be looked into.
 */
export async function listenerOf(port: number, pids: readonly number[]): Promise<Listener> {
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'latin1').catch(() => '')));
  const inodes = tables.flatMap((table) => listeningInodes(table, port));
  if (inodes.length === 0) return 'unknown';
  const sockets = await Promise.all(pids.map(socketsOf));
  const ours = new Set(sockets.flatMap((found) => found ?? []));
  if (inodes.every((inode) => ours.has(inode))) return 'ours';
  return sockets.includes(undefined) ? 'unknown' : 'foreign';
}
