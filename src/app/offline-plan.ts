import type { Config } from '../config/config.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { ConfigProblem } from '../config/problems.ts';
import type { ModelName } from '../core/ids.ts';
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
 * A warning for each GPU that `gateway.gpus` names and this machine does not have, and for each model with replicas that would wait for
 * others to give their GPUs up. None where no GPU could be read: the config may be meant for another machine.
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
  const waiting = lackingGpus(replicas, true).map(({ model, who, why }) =>
    located(model, [], `${who} would have no GPU on this machine: ${why}`),
  );
  return [...absent, ...waiting];
}

/**
 * A problem for each model of which one replica needs more GPUs than this machine has to give, whoever else gives his up. None where no
 * GPU could be read.
 */
export function neverPlaced(
  { located }: Pick<LoadedConfig, 'located'>,
  { cards, gpuProblem, replicas }: LaunchPlan,
): readonly ConfigProblem[] {
  if (cards.length === 0 || gpuProblem !== undefined) return [];
  return lackingGpus(replicas, false).map(({ model, who, why }) =>
    located(model, [], `${who} can never start on this machine: ${why}; expected at most what gateway.gpus and CUDA_VISIBLE_DEVICES leave`),
  );
}

/** Models with replicas that are given no GPU. @param possible whether the machine has enough for one, and others hold it */
function lackingGpus(
  replicas: LaunchPlan['replicas'],
  possible: boolean,
): readonly { readonly model: ModelName; readonly who: string; readonly why: string }[] {
  return [...Map.groupBy(replicas, ({ model }) => model)].flatMap(([model, all]) => {
    const lacking = all.flatMap(({ replica, ...rest }) =>
      rest.kind === 'process' && rest.gpus.kind === 'unplaced' && rest.gpus.possible === possible
        ? [`${replica}: ${rest.gpus.reason}`]
        : [],
    );
    const [why] = lacking;
    if (why === undefined) return [];
    return [{ model, who: all.length === 1 ? 'its replica' : `${lacking.length} of ${all.length} replicas`, why }];
  });
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
