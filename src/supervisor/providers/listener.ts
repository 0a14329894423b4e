import { readFile } from 'node:fs';
import { readdir, readlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Listener } from './provider.ts';

const listening = '0A';
/** The kernel hands these tables out a page at a time, and `fs/promises` makes several promises of each. */
const readText = promisify(readFile);

/**
 * Inodes of the sockets that listen on a TCP port, from the text of `/proc/net/tcp` or `tcp6`: local address and port (in hexadecimal),
 * state and inode are fields 2, 4 and 10 of a line.
 */
export function listeningInodes(table: string, port: number): readonly string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  // A busy machine has tens of thousands of lines here, of which a few name the port.
  const named = table.split('\n').filter((line) => line.includes(`:${hex} `));
  return named.flatMap((line) => {
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
 * Who listens on `port` of this machine: `ours` when every listener is a socket of a replica's processes; `unknown` where there is no
 * /proc, no listener in this network namespace, or the processes cannot be looked into.
 * @param first its first process, which listens in most engines: then no other is looked for.
 * @param all finds every process of it.
 */
export async function listenerOf(port: number, first: number, all: () => Promise<readonly number[]>): Promise<Listener> {
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readText(`/proc/net/${name}`, 'latin1').catch(() => '')));
  const inodes = tables.flatMap((table) => listeningInodes(table, port));
  if (inodes.length === 0) return 'unknown';
  const areAmong = (sockets: readonly string[]): boolean => inodes.every((inode) => sockets.includes(inode));
  if (areAmong((await socketsOf(first)) ?? [])) return 'ours';
  const sockets = await Promise.all((await all()).map(socketsOf));
  if (areAmong(sockets.flatMap((found) => found ?? []))) return 'ours';
  return sockets.includes(undefined) ? 'unknown' : 'foreign';
}
