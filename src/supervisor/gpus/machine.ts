import { amdProbe } from './amd.ts';
import type { GpuProbe } from './devices.ts';
import { nvidiaProbe } from './nvidia.ts';
import { toolRunner } from './tool.ts';

/** The GPUs of this machine, by the driver's tools on `env`'s PATH: NVIDIA's, or AMD's where NVIDIA has none. */
export function machineGpus(env: Readonly<Record<string, string | undefined>>): GpuProbe {
  const run = toolRunner(env);
  const nvidia = nvidiaProbe(run);
  const amd = amdProbe(run);
  return {
    async list(signal) {
      const found = await nvidia.list(signal);
      return found.devices.length > 0 || found.lost.length > 0 ? found : await amd.list(signal);
    },
  };
}
