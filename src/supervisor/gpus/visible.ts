import type { GpuDevice } from './devices.ts';

type Environment = Readonly<Record<string, string | undefined>>;

function entryNames(device: GpuDevice, entry: string): boolean {
  if (/^\d+$/.test(entry)) return !device.partition && device.index === Number(entry);
  // The beginning of an id is enough, as it is for CUDA; whole cards and MIG instances differ in theirs.
  return /^(?:GPU|MIG)-./.test(entry) && device.id.startsWith(entry);
}

/** What a mask lets through. As in CUDA, all that stands behind an entry that names nothing counts for nothing. */
function masked(devices: readonly GpuDevice[], mask: string): readonly GpuDevice[] {
  const visible = new Set<GpuDevice>();
  for (const entry of mask.split(',').map((part) => part.trim())) {
    const named = devices.filter((device) => entryNames(device, entry));
    if (named.length !== 1) break;
    for (const device of named) visible.add(device);
  }
  return devices.filter((device) => visible.has(device));
}

/** The devices that the gateway was given by the environment it inherited: an engine must not see more. */
export function inheritedDevices(devices: readonly GpuDevice[], env: Environment): readonly GpuDevice[] {
  const masks = (vendor: GpuDevice['vendor']): readonly string[] =>
    (vendor === 'nvidia' ? [env['CUDA_VISIBLE_DEVICES']] : [env['ROCR_VISIBLE_DEVICES'], env['HIP_VISIBLE_DEVICES']]).filter(
      (mask) => mask !== undefined,
    );
  return (['nvidia', 'amd'] as const).flatMap((vendor) =>
    masks(vendor).reduce<readonly GpuDevice[]>(
      masked,
      devices.filter((device) => device.vendor === vendor),
    ),
  );
}

/**
 * What tells an engine its GPUs, and hides all others from it: indices in the order of the PCI bus, since some engines read nothing else;
 * ids for MIG instances, which have no index of their own. An engine without GPUs sees none.
 */
export function gpuEnvironment(devices: readonly GpuDevice[]): Readonly<Record<string, string>> {
  const value = devices.map((device) => (device.partition ? device.id : String(device.index))).join(',');
  const order = { CUDA_DEVICE_ORDER: 'PCI_BUS_ID' };
  if (devices.some(({ vendor }) => vendor === 'amd')) return { HIP_VISIBLE_DEVICES: value };
  if (devices.length > 0) return { ...order, CUDA_VISIBLE_DEVICES: value };
  return { ...order, CUDA_VISIBLE_DEVICES: '', HIP_VISIBLE_DEVICES: '' };
}
