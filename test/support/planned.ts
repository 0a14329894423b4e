import type { Config } from '../../src/config/config.ts';
import { planOffline } from '../../src/app/offline-plan.ts';
import { engines } from '../../src/plugins/registry.ts';
import type { GpuDevice } from '../../src/supervisor/gpus/devices.ts';
import type { LaunchPlan } from '../../src/supervisor/launch-plan.ts';

const device = (index: number): GpuDevice => ({
  vendor: 'nvidia',
  id: `GPU-${index}`,
  index,
  busId: `00000000:${index + 16}:00.0`,
  name: 'NVIDIA H100 80GB HBM3',
  memoryBytes: 85_520_809_984,
  usedBytes: 0,
  partition: false,
});

/** What starting a config would come to on a machine with so many H100 and no engine installed. */
export function plannedOn(gpus: number, config: Config): Promise<LaunchPlan> {
  const list = { devices: Array.from({ length: gpus }, (_, index) => device(index)), lost: [] };
  const probe = { list: () => Promise.resolve(list) };
  return planOffline(config, { engines, probe, env: { PATH: '/nowhere' } }, new AbortController().signal);
}

/** The command of a model's first replica, its words parted by blanks. */
export function commandOf({ replicas }: LaunchPlan, model: string): string {
  const replica = replicas.find((each) => each.model === model);
  if (replica?.kind !== 'process') throw new Error(`no process is planned for ${model}`);
  return replica.argv.join(' ');
}
