import { messageOf } from '../../core/errors.ts';
import { acceleratorOf } from '../../plugins/accelerators.ts';
import type { EnginePlugin } from '../../plugins/engine-plugin.ts';
import type { GpuDevice, GpuProbe } from '../../supervisor/gpus/devices.ts';
import { lookForExecutable } from '../../supervisor/providers/executable.ts';

/** The driver answers in well under a second; a hung one must not hang the wizard. */
const driverTimeoutMs = 5000;
const gibibyte = 1_073_741_824;

export interface Gpu {
  /** The driver's product name. */
  readonly product: string;
  readonly memoryGib: number;
  /** Ray's name, where it has one. */
  readonly accelerator: string | undefined;
}

/** What the wizard found before it asks. */
export interface Machine {
  /** Engine name → its executable's path, or undefined where PATH has none. */
  readonly engines: ReadonlyMap<string, string | undefined>;
  readonly gpus: readonly Gpu[];
  /** Why the driver could not be asked. */
  readonly gpuProblem?: string;
}

/** Looks for the engines' executables on PATH and asks the driver for GPUs; no driver means no GPU. */
export async function lookAround(
  engines: ReadonlyMap<string, EnginePlugin>,
  env: Readonly<Record<string, string | undefined>>,
  probe: GpuProbe,
): Promise<Machine> {
  const found = [...engines].map(async ([name, plugin]) => {
    const engine = plugin.configure({});
    const look = await lookForExecutable(engine.executable, env['PATH'] ?? '', engine);
    return [name, look.kind === 'found' ? look.file : undefined] as const;
  });
  const executables = new Map(await Promise.all(found));
  try {
    const { devices } = await probe.list(AbortSignal.timeout(driverTimeoutMs));
    return { engines: executables, gpus: devices.map(gpuOf) };
  } catch (error) {
    return { engines: executables, gpus: [], gpuProblem: messageOf(error) };
  }
}

export function gpuOf({ name, memoryBytes }: Pick<GpuDevice, 'name' | 'memoryBytes'>): Gpu {
  const memoryGib = Math.floor(memoryBytes / gibibyte);
  return { product: name, memoryGib, accelerator: acceleratorOf(name, memoryGib) };
}
