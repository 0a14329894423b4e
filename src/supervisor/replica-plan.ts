import type { Config, ModelConfig, StaticUpstream } from '../config/config.ts';
import { GatewayError } from '../core/errors.ts';
import type { Engine, EnginePlugin } from '../plugins/engine-plugin.ts';
import { executableOf } from './command-line.ts';
import type { GpuRequest } from './gpus/place.ts';
import type { DesiredModel } from './plan.ts';
import { fingerprintOf } from './process-facts.ts';
import { replicaName } from './replica-id.ts';

/** What a replica runs. */
export interface ReplicaPlan {
  readonly model: ModelConfig;
  readonly engine: Engine;
  /** Executable and leading arguments. */
  readonly command: readonly [string, ...string[]];
  readonly fingerprint: string;
  /** Set when somebody else runs it. */
  readonly upstream?: StaticUpstream;
}

/** @throws GatewayError `config_invalid` when the engine is unknown or refuses its options. */
export function replicaPlan(
  model: ModelConfig,
  commands: Config['engineCommands'],
  engines: ReadonlyMap<string, EnginePlugin>,
): ReplicaPlan {
  const plugin = engines.get(model.engine);
  if (plugin === undefined) {
    throw new GatewayError('config_invalid', `${model.name}: no engine "${model.engine}"; there are ${[...engines.keys()].join(', ')}`);
  }
  const engine = plugin.configure(model.engineOptions, model.traits);
  let fingerprint: string | undefined;
  return {
    model,
    engine,
    command: executableOf(model, engine, commands),
    // Only where it is compared: where nothing runs yet, nobody does.
    get fingerprint() {
      return (fingerprint ??= fingerprintOf(model, commands, plugin));
    },
  };
}

/** How many replicas the config asks for; of a model that others run, all that there are. */
export function wantedReplicas({ model }: ReplicaPlan): number {
  return model.upstreams.length === 0 ? model.replicas : model.upstreams.length;
}

export function desiredOf(plan: ReplicaPlan): DesiredModel {
  return { name: plan.model.name, replicas: wantedReplicas(plan), fingerprint: plan.fingerprint };
}

export function gpuRequest(index: number, { model, engine, upstream }: ReplicaPlan): GpuRequest {
  const { gpus, memoryShare: share, optional = false } = engine.needs;
  return {
    holder: replicaName(model.name, index),
    model: model.name,
    gpus: upstream === undefined ? (model.gpus ?? gpus) : 0,
    share,
    optional: optional && model.gpus === undefined,
    priority: model.priority,
    acceleratorType: model.acceleratorType,
  };
}
