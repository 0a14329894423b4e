import { modelName } from '../../src/core/ids.ts';
import type { GpuDevice } from '../../src/supervisor/gpus/devices.ts';
import { place } from '../../src/supervisor/gpus/place.ts';
import type { GpuRequest } from '../../src/supervisor/gpus/place.ts';
import { plan } from '../../src/supervisor/plan.ts';
import { median } from '../measure/statistics.ts';

const rounds = 15;
const gibibyte = 1_073_741_824;

function gpu(index: number): GpuDevice {
  const card = { vendor: 'nvidia', name: 'NVIDIA H100 80GB HBM3', memoryBytes: 80 * gibibyte, usedBytes: 0, partition: false } as const;
  return { ...card, id: `GPU-${index}`, index, busId: `00000000:${index.toString(16).padStart(2, '0')}:00.0` };
}

/** Median milliseconds to plan the replicas of so many models from nothing, and to place all of them on so many GPUs, of which few have room. */
export function planCost(models: number, gpus: number): number {
  const desired = Array.from({ length: models }, (_, at) => ({ name: modelName(`org/model-${at}`), replicas: 1, fingerprint: `f${at}` }));
  const pool = {
    devices: Array.from({ length: gpus }, (_, index) => gpu(index)),
    quarantined: new Map(),
    acceleratorMatch: 'warn',
  } as const;
  const requests = desired.map(({ name }, at): GpuRequest => ({
    holder: `${name}-0`,
    gpus: 2 ** (at % 4),
    share: at % 4 === 0 ? 0.25 : 1,
    optional: false,
    priority: at % 3,
    acceleratorType: at % 2 === 0 ? 'H100' : undefined,
  }));
  const round = (): number => {
    const began = performance.now();
    const steps = plan(desired, []);
    const placed = place(requests, pool, []).filter(({ kind }) => kind === 'placed');
    const tookMs = performance.now() - began;
    if (steps.length !== models || placed.length === 0) throw new Error(`planned ${steps.length} replicas and placed ${placed.length}`);
    return tookMs;
  };
  for (let warmUp = 0; warmUp < 3; warmUp += 1) round();
  return median(Array.from({ length: rounds }, round));
}
