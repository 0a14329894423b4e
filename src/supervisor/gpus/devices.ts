/** A GPU, or a part of one that is used like one (MIG). */
export interface GpuDevice {
  /** `GPU-…` or `MIG-…` of NVIDIA, or AMD's unique id: stays with the card, unlike its index. */
  readonly id: string;
  readonly vendor: 'nvidia' | 'amd';
  /** Of the card, in the order of the PCI bus; a MIG instance has its card's. */
  readonly index: number;
  /** PCI address in lower case, e.g. `00000000:3b:00.0`. */
  readonly busId: string;
  /** As the driver's tool prints it, e.g. `NVIDIA H100 80GB HBM3`. */
  readonly name: string;
  readonly memoryBytes: number;
  /** By whomever; undefined where the tool does not tell it. */
  readonly usedBytes: number | undefined;
  /** A MIG instance: addressed by id, and a process sees one at most. */
  readonly partition: boolean;
}

/** A card that the driver has lost contact with. */
export interface LostGpu {
  /** `GPU-…` or a PCI address in lower case: whichever the tool printed. */
  readonly key: string;
  readonly reason: string;
}

export interface GpuList {
  readonly devices: readonly GpuDevice[];
  readonly lost: readonly LostGpu[];
}

export interface GpuProbe {
  /**
   * The GPUs of this machine now, whatever environment masks say; none where the driver's tool is not installed.
   * @throws Error when the tool is there and gives no usable answer.
   */
  list(signal: AbortSignal): Promise<GpuList>;
}

export const noGpus: GpuProbe = { list: () => Promise.resolve({ devices: [], lost: [] }) };

/** How a device is called in a message: `GPU 0`, or `MIG-…` (several share their card's index). */
export function gpuLabel(device: Pick<GpuDevice, 'id' | 'index' | 'partition'>): string {
  return device.partition ? device.id : `GPU ${device.index}`;
}
