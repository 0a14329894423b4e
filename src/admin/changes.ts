import { isDeepStrictEqual } from 'node:util';
import type { Config, ModelConfig } from '../config/config.ts';
import { type Facts, processFacts } from '../supervisor/process-facts.ts';

/** What becomes of a model: `keep` leaves its processes alone, whatever of its other settings (`keys`) changes. */
export interface ModelChange {
  readonly model: string;
  readonly action: 'keep' | 'restart' | 'add' | 'remove';
  /** Keys of the config that changed: the cause of a restart, or what applies without one. */
  readonly keys: readonly string[];
}

export interface ConfigChange {
  readonly models: readonly ModelChange[];
  /** Keys of the gateway itself that changed and take effect at once. */
  readonly applies: readonly string[];
  /** Keys of the gateway itself that changed and take effect only when the gateway is started anew. */
  readonly needsRestart: readonly string[];
}

/** What of a model changes without a new process. */
function liveFacts(model: ModelConfig): Facts {
  return {
    'deployment_config.num_replicas': model.autoscaling === undefined ? model.replicas : undefined,
    'deployment_config.autoscaling_config': model.autoscaling,
    'deployment_config.max_ongoing_requests': model.maxOngoing,
    'deployment_config.max_queued_requests': model.limits.maxWaiting,
    'deployment_config.health_check_period_s': model.health.periodMs,
    'deployment_config.health_check_timeout_s': model.health.timeoutMs,
    'deployment_config.graceful_shutdown_timeout_s': model.drainTimeoutMs,
    'gateway.aliases': model.aliases,
    'gateway.priority': model.priority,
    'gateway.routing': model.routing,
    'gateway.unsupported_params': model.unsupportedParams,
    'gateway.allowed_params': model.input.allowed,
    'gateway.limits': model.input.limits,
    'gateway.resume_streams': model.resumeStreams,
    'gateway.timeouts.queue_s': model.limits.queueTimeoutMs,
    'gateway.timeouts.first_byte_s': model.limits.firstByteTimeoutMs,
    'gateway.timeouts.idle_s': model.limits.idleTimeoutMs,
    'gateway.timeouts.startup_s': model.startupTimeoutMs,
    'gateway.unchecked_kwargs': model.uncheckedOptions,
    'gateway.timeouts.hang_s': model.hangTimeoutMs,
    lora_config: model.adapters,
    accelerator_type: model.acceleratorType,
  };
}

/** For replicas that ask for GPUs from then on. */
function liveGatewayFacts(config: Config): Facts {
  return { 'gateway.keys': config.settings.access, 'gateway.gpus': config.gpus, 'gateway.accelerator_match': config.acceleratorMatch };
}

function gatewayFacts(config: Config): Facts {
  return {
    'gateway.listen': config.listen,
    'gateway.admin': config.admin,
    'gateway.workers': config.workers,
    'gateway.state_dir': config.stateDir,
    'gateway.cache': config.cache,
    'gateway.plugins': config.plugins,
    'gateway.engine_ports': config.enginePorts,
    'gateway.log.level': config.logLevel,
    'gateway.log.file': config.logFile,
    'gateway.limits': config.settings.limits,
    'gateway.cors': config.settings.cors,
    'gateway.media': config.settings.media,
    'gateway.metrics.by_key': config.settings.metricsByKey,
    'gateway.debug_headers': config.settings.debugHeaders,
    'gateway.timeouts (heartbeat_s, write_stall_s, keepalive_s)': config.settings.client,
    'gateway.timeouts.pre_stop_s': config.preStopMs,
    'gateway.timeouts.drain_s': config.drainTimeoutMs,
  };
}

function differing(before: Facts, after: Facts): string[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return keys.filter((key) => !isDeepStrictEqual(before[key], after[key]));
}

function changeOf(model: ModelConfig, next: Config, running: Config): ModelChange {
  const before = running.models.find(({ name }) => name === model.name);
  if (before === undefined) return { model: model.name, action: 'add', keys: [] };
  const causes = differing(processFacts(before, running.engineCommands), processFacts(model, next.engineCommands));
  if (causes.length > 0) return { model: model.name, action: 'restart', keys: causes };
  return { model: model.name, action: 'keep', keys: differing(liveFacts(before), liveFacts(model)) };
}

/** From the config a gateway runs to another one: what happens to each model, in the order of the new one, removed ones last. */
export function changesBetween(running: Config, next: Config): ConfigChange {
  const wanted = new Set(next.models.map(({ name }) => name));
  const removed = running.models.filter(({ name }) => !wanted.has(name));
  return {
    models: [
      ...next.models.map((model) => changeOf(model, next, running)),
      ...removed.map(({ name }): ModelChange => ({ model: name, action: 'remove', keys: [] })),
    ],
    applies: differing(liveGatewayFacts(running), liveGatewayFacts(next)),
    needsRestart: differing(gatewayFacts(running), gatewayFacts(next)),
  };
}
