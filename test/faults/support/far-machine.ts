import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ip = async (...args: string[]): Promise<string> => (await run('ip', args)).stdout;

/** Sends one chat and writes what comes to stdout; says nothing when it is cut off. Arguments: URL, body. */
const clientScript = `const [url, body] = process.argv.slice(1);
const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
require('node:http').request(url, { method: 'POST', headers }, (reply) => reply.pipe(process.stdout)).on('error', () => process.exit()).end(body);`;

/** A machine of its own, as far as the network goes: a namespace at the far end of a cable. */
export interface FarMachine {
  /** This machine's address, as seen from there. */
  readonly host: string;
  /** A client there. */
  ask(url: string, body: object): ChildProcess;
  /** It does not answer any more: what is sent to it is lost, and nobody tells. */
  vanish(): Promise<void>;
}

/** Needs root and iproute2; see `needsNetwork`. Removed when the test ends. */
export async function farMachine(t: TestContext): Promise<FarMachine> {
  const name = `rh${process.pid}`;
  const [near, far] = [`${name}a`, `${name}b`];
  // Of the block for tests of networks (RFC 2544); a pair of its own for each process.
  const net = `198.18.${process.pid % 256}`;
  const [host, there] = [`${net}.1`, `${net}.2`];
  await ip('netns', 'add', name);
  const clients: ChildProcess[] = [];
  t.after(async () => {
    for (const client of clients) client.kill('SIGKILL');
    await Promise.all(
      clients.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null).map((client) => once(client, 'exit')),
    );
    // With it goes its end of the cable, and with that the other one.
    await ip('netns', 'del', name);
  });
  await ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name);
  await ip('addr', 'add', `${host}/30`, 'dev', near);
  await ip('link', 'set', near, 'up');
  await ip('-n', name, 'addr', 'add', `${there}/30`, 'dev', far);
  await ip('-n', name, 'link', 'set', far, 'up');
  const [link] = JSON.parse(await ip('-n', name, '-j', 'link', 'show', far)) as { readonly address: string }[];
  // Never asked for again: else this machine's own kernel would notice, and tell, that nobody is there.
  await ip('neigh', 'replace', there, 'lladdr', link?.address ?? '', 'dev', near, 'nud', 'permanent');
  return {
    host,
    ask: (url, body) => {
      const client = spawn('ip', ['netns', 'exec', name, process.execPath, '-e', clientScript, url, JSON.stringify(body)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      clients.push(client);
      return client;
    },
    vanish: async () => {
      // What still comes is for nobody there.
      await ip('-n', name, 'addr', 'flush', 'dev', far);
    },
  };
}

/** Why there can be no such machine here; false where there can. */
export async function needsNetwork(): Promise<string | false> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'it needs Linux and root: a network namespace';
  const name = `rh${process.pid}probe`;
  try {
    await run('ip', ['netns', 'add', name]);
    await run('ip', ['netns', 'del', name]);
    return false;
  } catch {
    return 'it needs iproute2, and a kernel that gives network namespaces';
  }
}
