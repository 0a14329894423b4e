import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { unpackPackages } from '../apt.ts';
import type { EngineRoute, Installed, Tools } from '../engine-route.ts';
import { findLoader } from '../loader.ts';

const directory = 'engine-sid';
const server = join('usr', 'bin', 'llama-server');

/**
 * Debian sid's `llama.cpp-tools` (0.7.0, b11669 in November 2026; amd64 and arm64) with the libraries it needs, so that it runs on any Debian. Its
 * version cannot be pinned, as sid keeps only the newest; Debian's keyring vouches for it. The fastest on CPUs: one backend an instruction set.
 */
export const sid: EngineRoute = {
  name: 'sid',
  title: "llama-server from Debian sid's llama.cpp-tools, unpacked beside the system",
  obstacle(machine) {
    if (machine.platform !== 'linux' || !['x64', 'arm64'].includes(machine.arch))
      return `for Linux on x64 and arm64, this is ${machine.platform} on ${machine.arch}`;
    if (!machine.apt) return 'apt-get and dpkg are not both on PATH';
    return machine.debianKeyring === undefined ? "Debian's keyring (package debian-archive-keyring) is not installed" : undefined;
  },
  async install(tools: Tools): Promise<Installed> {
    const keyring = tools.machine.debianKeyring;
    if (keyring === undefined) throw new Error("no Debian keyring to check the packages' signatures with");
    const work = join(tools.stage, 'sid');
    mkdirSync(work);
    const { root, downloadedBytes } = await unpackPackages({ kind: 'sid', keyring }, ['llama.cpp-tools'], work, tools.signal);
    for (const unneeded of ['etc', 'var', join('usr', 'share')]) rmSync(join(root, unneeded), { recursive: true, force: true });
    const { program, libraries } = findLoader(root);
    showBackends(root, libraries[0]);
    renameSync(root, join(tools.stage, directory));
    const inside = (path: string): string => join(directory, path);
    const [first, ...rest] = libraries;
    return {
      launch: {
        words: [
          { kind: 'inside', paths: [inside(program)] },
          { kind: 'text', text: '--library-path' },
          { kind: 'inside', paths: [inside(first), ...rest.map(inside), inside(join(first, 'llama'))] },
          { kind: 'inside', paths: [inside(server)] },
        ],
        env: {},
      },
      file: inside(server),
      downloadedBytes,
    };
  },
};

/** ggml looks for its backends beside the running executable, which is the loader. Links are relative, so that the clone can be moved. */
function showBackends(root: string, libraries: string): void {
  const home = join(root, libraries, 'ggml');
  const backends = readdirSync(home, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.so'));
  if (backends.length === 0) throw new Error(`the package libggml0 has no backends in ${join('/', libraries, 'ggml')}`);
  for (const name of backends) {
    symlinkSync(relative(join(root, libraries), join(home, name)), join(root, libraries, basename(name)));
  }
}
