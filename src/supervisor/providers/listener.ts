import { closeSync, openSync, readFile, readSync } from 'node:fs';
import { readdir, readlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Listener } from './provider.ts';

const listening = '0A';
/** The kernel hands these tables out a page at a time, and `fs/promises` makes several promises of each. */
const readText = promisify(readFile);
const pieceBytes = 16_384;

/** A socket that listens. */
export interface ListeningSocket {
  readonly inode: string;
  /** Whether it takes connections to 127.0.0.1. */
  readonly onLoopback: boolean;
}

/** 127.0.0.1, and any address, as the kernel writes them on a machine of either byte order. */
const loopback: ReadonlySet<string> = new Set(['0100007F', '7F000001', '00000000']);

/**
 * The sockets that listen on a TCP port, from the text of `/proc/net/tcp` or `tcp6`: local address and port (in hexadecimal), state and
 * inode are fields 2, 4 and 10 of a line.
 */
export function listenersIn(table: string, port: number): readonly ListeningSocket[] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  // A busy machine has tens of thousands of lines here, of which a few name the port.
  const named = table.split('\n').filter((line) => line.includes(`:${hex} `));
  return named.flatMap((line) => {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/);
    const [address = '', at] = local.split(':');
    return inode !== undefined && state === listening && at === hex ? [{ inode, onLoopback: loopback.has(address) }] : [];
  });
}

/** Whether the text of such a table, which may end within a line, has come to sockets that do not listen. */
export function isPastListeners(text: string): boolean {
  return /^ *\d+: [0-9A-F]+:[0-9A-F]{4} [0-9A-F]+:[0-9A-F]{4} (?!0A)[0-9A-F]{2} /mu.test(text);
}

/**
 * The beginning of IPv4's table, with all that listen: the kernel names them before all others (`tcp_get_idx()` in Linux's
 * net/ipv4/tcp_ipv4.c). The rest is every connection of the machine, also those that are over and wait to be forgotten, and costs it
 * milliseconds to write. It answers from memory of its own: it is read at once, without a thread that waits. Empty where there is none, or
 * no descriptor.
 */
function headOfTable(): string {
  let file: number | undefined;
  try {
    file = openSync('/proc/net/tcp', 'r');
    const piece = Buffer.alloc(pieceBytes);
    let text = '';
    // Of the first line that is not whole yet.
    let begun = 0;
    for (let bytes = 1; bytes > 0 && !isPastListeners(text.slice(begun));) {
      begun = text.lastIndexOf('\n') + 1;
      bytes = readSync(file, piece, 0, pieceBytes, null);
      text += piece.toString('latin1', 0, bytes);
    }
    return text;
  } catch {
    return '';
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/**
 * Inodes of the sockets that a connection to `port` of 127.0.0.1 may come to. One that listens there by IPv4 gets it before any of IPv6
 * (`compute_score()` in net/ipv4/inet_hashtables.c), of which the table alone costs 3 ms: the kernel looks for it among all connections
 * there could be. Without one, or by a kernel that names them in another order, both tables are read to the end.
 */
async function inodesOn(port: number): Promise<readonly string[]> {
  let found = listenersIn(headOfTable(), port);
  if (!found.some(({ onLoopback }) => onLoopback)) {
    const whole = await Promise.all(['tcp', 'tcp6'].map((name) => readText(`/proc/net/${name}`, 'latin1').catch(() => '')));
    found = whole.flatMap((text) => listenersIn(text, port));
  }
  return found.map(({ inode }) => inode);
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
  const inodes = await inodesOn(port);
  if (inodes.length === 0) return 'unknown';
  const areAmong = (sockets: readonly string[]): boolean => inodes.every((inode) => sockets.includes(inode));
  if (areAmong((await socketsOf(first)) ?? [])) return 'ours';
  const sockets = await Promise.all((await all()).map(socketsOf));
  if (areAmong(sockets.flatMap((found) => found ?? []))) return 'ours';
  return sockets.includes(undefined) ? 'unknown' : 'foreign';
}
