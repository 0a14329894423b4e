import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

/** Given out to somebody; in the scene's network it is the machine's own, and nothing leaves that network. */
export const publicAddress = '93.184.215.14';

/** In namespaces of its own: the public address on the loopback device, and the name server of the scene. */
const setUp = `ip link set lo up && ip addr add ${publicAddress}/32 dev lo && mount --bind "$0" /etc/resolv.conf && exec "$@"`;

/** Runs the scene to its end. Needs root and iproute2. @param dir for its files */
export async function rebindingScene(dir: string): Promise<{ readonly code: number | null; readonly output: string }> {
  const resolvConf = join(dir, 'resolv.conf');
  await writeFile(resolvConf, 'nameserver 127.0.0.1\n');
  const scene = fileURLToPath(new URL('rebinding-scene.ts', import.meta.url));
  // Set, it would make the scene a part of the test that runs it.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const args = ['--net', '--mount', 'sh', '-c', setUp, resolvConf, process.execPath, scene];
  const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  return { code, output: stdout + stderr };
}
