import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EngineRoute, Installed, Tools } from '../engine-route.ts';
import type { Machine } from '../machine.ts';
import { unpackWheel, xllamacppWheel } from '../wheels.ts';

const directory = 'engine-xllamacpp';
const script = 'xllama_server.py';

/** llama.cpp's own HTTP server (b11549) as a Python module, behind `llama-server`'s flags. Slower on Linux: built for the oldest x86-64. */
export const xllamacpp: EngineRoute = {
  name: 'xllamacpp',
  title: `llama-server from the Python wheel ${xllamacppWheel.name} ${xllamacppWheel.version}`,
  obstacle(machine: Machine): string | undefined {
    if (!['linux', 'darwin'].includes(machine.platform) || !['x64', 'arm64'].includes(machine.arch)) {
      return `for Linux and macOS on x64 and arm64, this is ${machine.platform} on ${machine.arch}`;
    }
    return machine.platform === 'linux' && machine.glibc === undefined ? 'needs glibc, this has another C library' : undefined;
  },
  async install(tools: Tools): Promise<Installed> {
    const python = await tools.python();
    if (python.executable === undefined) throw new Error('needs a Python that stays on the machine; none is installed');
    if (python.version.minor < 10) throw new Error(`needs Python 3.10 or newer, ${python.executable} is 3.${python.version.minor}`);
    const downloadedBytes = await unpackWheel(xllamacppWheel, python, tools.stage, join(tools.stage, directory));
    copyFileSync(join(import.meta.dirname, '..', script), join(tools.stage, directory, script));
    return {
      launch: {
        words: [
          { kind: 'text', text: python.executable },
          { kind: 'inside', paths: [join(directory, script)] },
        ],
        env: {},
      },
      // The wheel stays where it is put; a Python may be upgraded away.
      file: python.executable,
      downloadedBytes,
    };
  },
};
