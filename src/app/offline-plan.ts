import type { Config } from '../config/config.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { ConfigProblem } from '../config/problems.ts';
import type { EnginePlugin } from '../plugins/engine-plugin.ts';
import type { GpuProbe } from '../supervisor/gpus/devices.ts';
import { planLaunch } from '../supervisor/launch-plan.ts';
import type { LaunchPlan } from '../supervisor/launch-plan.ts';
import { findExecutables, surveyMachine } from '../supervisor/launch-survey.ts';
import { replicaPlan } from '../supervisor/replica-plan.ts';

export interface OfflinePlanDeps {
  readonly engines: ReadonlyMap<string, EnginePlugin>;
  readonly probe: GpuProbe;
  /** The one that a gateway would be started in. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * What starting `config` would come to on this machine as it is now. Nothing is started, claimed or written.
 * @throws GatewayError `config_invalid` as a start would; `signal.reason`.
 */
export async function planOffline(config: Config, { engines, probe, env }: OfflinePlanDeps, signal: AbortSignal): Promise<LaunchPlan> {
  const plans = config.models.map((model) => replicaPlan(model, config.engineCommands, engines));
  const [executables, gpus] = await Promise.all([findExecutables(plans, env), surveyMachine(probe, config, env, signal)]);
  return planLaunch({ config, plans, executables, env, gpus, standing: [] });
}

/**
 * A warning for each GPU that `gateway.gpus` names and this machine does not have, and for each model with replicas that its GPUs do not
 * suffice for. None where no GPU could be read: the config may be meant for another machine.
 */
export function withoutGpus(
  { config, located }: Pick<LoadedConfig, 'config' | 'located'>,
  { cards, gpuProblem, replicas }: LaunchPlan,
): readonly ConfigProblem[] {
  if (cards.length === 0 || gpuProblem !== undefined) return [];
  const absent = (config.gpus ?? []).flatMap((gpu, at) =>
    cards.includes(gpu)
      ? []
      : [located(undefined, ['gateway', 'gpus', at], `this machine has no GPU ${gpu}; there are ${cards.join(', ')}`)],
  );
  const unplaced = [...Map.groupBy(replicas, ({ model }) => model)].flatMap(([model, all]) => {
    const lacking = all.flatMap(({ replica, ...rest }) =>
      rest.kind === 'process' && rest.gpus.kind === 'unplaced' ? [{ replica, reason: rest.gpus.reason }] : [],
    );
    const [first] = lacking;
    if (first === undefined) return [];
    const who = all.length === 1 ? 'its replica' : `${lacking.length} of ${all.length} replicas`;
    const message = `${who} would have no GPU on this machine: ${first.replica}: ${first.reason}`;
    return [located(model, [], message)];
  });
  return [...absent, ...unplaced];
}

/** A warning for each model whose program cannot be started here, but for those of which one of `told` says so already. */
export function withoutPrograms(
  { located }: Pick<LoadedConfig, 'located'>,
  { replicas }: LaunchPlan,
  told: readonly ConfigProblem[],
): readonly ConfigProblem[] {
  const missing = new Map(
    replicas.flatMap((replica) =>
      replica.kind === 'process' && replica.missing !== undefined ? [[replica.model, replica.missing] as const] : [],
    ),
  );
  return [...missing]
    .filter(([, reason]) => !told.some(({ message }) => message.includes(reason)))
    .map(([model, reason]) => located(model, [], `cannot be started on this machine: ${reason}`));
}
