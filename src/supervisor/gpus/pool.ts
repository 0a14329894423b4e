import type { Config } from '../../config/config.ts';
import type { GpuDevice, GpuList } from './devices.ts';
import type { GpuPool } from './place.ts';
import { inheritedDevices } from './visible.ts';

export type GpuSettings = Pick<Config, 'gpus' | 'acceleratorMatch'>;

/**
 * What of a machine's devices the gateway may give: those that its own environment's masks let through and its config names.
 * @param env the gateway's own.
 */
export function gpuPool(
  devices: readonly GpuDevice[],
  quarantined: ReadonlyMap<string, string>,
  { gpus, acceleratorMatch }: GpuSettings,
  env: Readonly<Record<string, string | undefined>>,
): GpuPool {
  const inherited = inheritedDevices(devices, env);
  return { devices: gpus === undefined ? inherited : inherited.filter(({ index }) => gpus.includes(index)), quarantined, acceleratorMatch };
}

/** The devices among `devices` that the driver has lost, by id, and why. */
export function lostAmong(devices: readonly GpuDevice[], lost: GpuList['lost']): ReadonlyMap<string, string> {
  return new Map(
    lost.flatMap(({ key, reason }) => {
      const device = devices.find(({ id, busId }) => id === key || busId === key);
      return device === undefined ? [] : [[device.id, reason] as const];
    }),
  );
}
