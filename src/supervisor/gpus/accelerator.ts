import type { GpuDevice } from './devices.ts';

const gibibyte = 1_073_741_824;

function words(text: string): readonly string[] {
  return text
    .toLowerCase()
    .split(/[\s_-]+/)
    .filter((word) => word !== '' && word !== 'oam')
    .map((word) => (word === 'a10g' ? 'a10' : word));
}

/**
 * Whether a card is of an `accelerator_type`, as Ray names them (`H100`, `A10G`, `A100-80G`, `AMD-Instinct-MI300X-OAM`): every word of the
 * type is one of its name; a size is compared with the card's memory. `A10` and `A10G` are one.
 */
export function isAccelerator(device: Pick<GpuDevice, 'name' | 'memoryBytes'>, type: string): boolean {
  const named = words(device.name);
  return words(type).every((word) => {
    const size = /^(\d+)gb?$/.exec(word)?.[1];
    // A card sold as 80 GB shows 79.3 to 80.0 GiB.
    if (size !== undefined) return Math.abs(device.memoryBytes / gibibyte - Number(size)) <= Number(size) * 0.1;
    return named.includes(word);
  });
}
