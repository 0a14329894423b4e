import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';

export interface FakeGpu {
  readonly index: number;
  readonly uuid: string;
  readonly busId: string;
  readonly name: string;
  readonly memoryMiB: number;
  usedMiB: number;
  lost?: boolean;
  mig?: readonly { readonly profile: string; readonly uuid: string }[];
}

export interface FakeNvidiaSmi {
  readonly gpus: FakeGpu[];
  /** For the process that looks at GPUs: the fake one is first on its PATH. */
  readonly env: Record<string, string | undefined>;
  /** Makes what was changed in `gpus` what the tool says. */
  write(other?: { readonly exitCode?: number; readonly complaint?: string }): void;
}

export const uuid = (index: number): string => `GPU-00000000-0000-4000-8000-${String(index).padStart(12, '0')}`;

/** An `nvidia-smi` on a PATH of its own that tells of `count` cards of 80 GB; removed when the test ends. */
export function fakeNvidiaSmi(t: TestContext, count: number): FakeNvidiaSmi {
  const directory = mkdtempSync(join(tmpdir(), 'roundhouse-nvidia-smi-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  symlinkSync(join(import.meta.dirname, 'fake-nvidia-smi-command.ts'), join(directory, 'nvidia-smi'));
  const file = join(directory, 'state.json');
  const gpus = Array.from({ length: count }, (_, index): FakeGpu => {
    const busId = `00000000:${(index + 16).toString(16).toUpperCase()}:00.0`;
    return { index, uuid: uuid(index), busId, name: 'NVIDIA H100 80GB HBM3', memoryMiB: 81_559, usedMiB: 0 };
  });
  const fake: FakeNvidiaSmi = {
    gpus,
    env: { PATH: `${directory}:${dirname(process.execPath)}:/usr/bin:/bin`, FAKE_NVIDIA_SMI: file },
    write: (other = {}) => {
      // Renamed, so that no reader sees half of it.
      writeFileSync(`${file}.new`, JSON.stringify({ gpus, ...other }));
      renameSync(`${file}.new`, file);
    },
  };
  fake.write();
  return fake;
}
