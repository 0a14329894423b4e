#!/usr/bin/env node
// Answers as nvidia-smi 580 does, from the JSON file that FAKE_NVIDIA_SMI names:
// what `fakeNvidiaSmi().write()` wrote.
import { readFileSync } from 'node:fs';
import type { FakeGpu } from './fake-nvidia-smi.ts';

interface State {
  readonly gpus: readonly FakeGpu[];
  readonly exitCode?: number;
  readonly complaint?: string;
}

const { gpus, exitCode = 0, complaint } = JSON.parse(readFileSync(process.env['FAKE_NVIDIA_SMI'] ?? '', 'utf8')) as State;
const query = process.argv.find((arg) => arg.startsWith('--query-gpu='));
const columns: Readonly<Record<string, (gpu: FakeGpu) => string | number>> = {
  index: (gpu) => gpu.index,
  uuid: (gpu) => gpu.uuid,
  'pci.bus_id': (gpu) => gpu.busId,
  name: (gpu) => gpu.name,
  'memory.total': (gpu) => gpu.memoryMiB,
  'memory.used': (gpu) => gpu.usedMiB,
  'mig.mode.current': (gpu) => (gpu.mig === undefined ? 'Disabled' : 'Enabled'),
};

if (complaint !== undefined) console.log(complaint);
if (process.argv.includes('-L')) {
  for (const gpu of gpus) {
    console.log(`GPU ${gpu.index}: ${gpu.name} (UUID: ${gpu.uuid})`);
    for (const [at, part] of (gpu.mig ?? []).entries()) console.log(`  MIG ${part.profile.padEnd(12)} Device  ${at}: (UUID: ${part.uuid})`);
  }
} else if (query !== undefined) {
  const asked = query.slice('--query-gpu='.length).split(',');
  const wrong = asked.find((name) => columns[name] === undefined);
  if (wrong !== undefined) {
    console.log(`Field "${wrong}" is not a valid field to query.\n`);
    process.exit(2);
  }
  for (const gpu of gpus) {
    if (gpu.lost) {
      console.log(
        `Unable to determine the device handle for GPU${gpu.index}: ${gpu.busId}: GPU is lost.  Reboot the system to recover this GPU`,
      );
    } else console.log(asked.map((name) => columns[name]?.(gpu)).join(', '));
  }
}
process.exit(exitCode);
