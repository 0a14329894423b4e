import type { GivesGpus, GpuHolder } from '../autoscale/simulate.ts';
import type { GpuDevice } from '../supervisor/gpus/devices.ts';
import { place } from '../supervisor/gpus/place.ts';
import type { GpuHold, GpuPool, GpuRequest } from '../supervisor/gpus/place.ts';

function device(index: number): GpuDevice {
  const busId = `00000000:${index.toString(16).padStart(2, '0')}:00.0`;
  return { vendor: 'nvidia', id: `GPU-${index}`, index, busId, name: 'simulated', memoryBytes: 1, usedBytes: 0, partition: false };
}

/** So many cards that are alike, given out by the code that does so in a running gateway. @param requests by model, of one replica */
export function simulatedGpus(count: number, requests: ReadonlyMap<string, GpuRequest>): GivesGpus {
  const pool: GpuPool = {
    devices: Array.from({ length: count }, (_, index) => device(index)),
    quarantined: new Map(),
    acceleratorMatch: 'warn',
  };
  return (waiting, held, next) => {
    const asked = new Map<GpuRequest, GpuHolder>(
      waiting.flatMap((holder) => {
        const request = requests.get(holder.model);
        return request === undefined ? [] : [[{ ...request, holder: holder.holder, model: holder.model }, holder] as const];
      }),
    );
    const holds = [...held].flatMap(([{ holder, model }, devices]): readonly GpuHold[] =>
      devices.map((id) => ({ holder, device: id, share: requests.get(model)?.share ?? 1 })),
    );
    return new Map(
      place([...asked.keys()], pool, holds, next).flatMap((placement) => {
        const holder = asked.get(placement.request);
        return placement.kind === 'pending' || holder === undefined ? [] : [[holder, placement.devices.map(({ id }) => id)] as const];
      }),
    );
  };
}
