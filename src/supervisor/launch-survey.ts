import { messageOf } from '../core/errors.ts';
import type { ModelName } from '../core/ids.ts';
import type { GpuProbe } from './gpus/devices.ts';
import type { GpuSurvey } from './gpus/ledger.ts';
import { gpuPool, lostAmong } from './gpus/pool.ts';
import type { GpuSettings } from './gpus/pool.ts';
import { lookForExecutable, searchPath } from './providers/executable.ts';
import type { Executable } from './providers/executable.ts';
import type { ReplicaPlan } from './replica-plan.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The executables that these would be started by; none for models that others run. @param env the gateway's own. */
export async function findExecutables(plans: readonly ReplicaPlan[], env: Environment): Promise<ReadonlyMap<ModelName, Executable>> {
  const looked = new Map<string, Promise<Executable>>();
  const look = ({ model, engine, command: [file] }: ReplicaPlan): Promise<Executable> => {
    const path = searchPath(model.env, env);
    const key = `${engine.executable}\0${file}\0${path}`;
    const found = looked.get(key) ?? lookForExecutable(file, path, engine);
    looked.set(key, found);
    return found;
  };
  const launched = plans.filter(({ model }) => model.upstreams.length === 0);
  return new Map(await Promise.all(launched.map(async (plan) => [plan.model.name, await look(plan)] as const)));
}

/** The GPUs as they are where no gateway holds any; a driver that does not answer is part of the answer. @param env the gateway's own. */
export async function surveyMachine(probe: GpuProbe, settings: GpuSettings, env: Environment, signal: AbortSignal): Promise<GpuSurvey> {
  try {
    const { devices, lost } = await probe.list(signal);
    const quarantined = lostAmong(devices, lost);
    const unknown = lost.filter(({ key }) => !devices.some(({ id, busId }) => id === key || busId === key));
    const problem = unknown.length === 0 ? undefined : unknown.map(({ key, reason }) => `${key}: ${reason}`).join('; ');
    return { devices, pool: gpuPool(devices, quarantined, settings, env), holds: [], problem };
  } catch (thrown) {
    signal.throwIfAborted();
    return { devices: [], pool: gpuPool([], new Map(), settings, env), holds: [], problem: messageOf(thrown) };
  }
}
