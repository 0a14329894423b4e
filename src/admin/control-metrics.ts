import { AggregatorRegistry, Counter, Gauge, Registry } from 'prom-client';
import { type Lag, lagMetric } from '../core/event-loop-lag.ts';
import { droppedLinesMetric } from '../core/log-destination.ts';
import { adapterRegistry } from './adapter-metrics.ts';
import type { ScaleReport } from '../autoscale/scaler.ts';
import type { ReloadReport } from './api.ts';
import { processRegistry } from './process-metrics.ts';
import type { ModelReport } from '../supervisor/report.ts';

const replicaLabels = ['model', 'replica'] as const;

export interface ControlFacts {
  readonly models: readonly ModelReport[];
  readonly reloads: ReloadReport;
  readonly logLinesDropped: number;
  readonly scaling: readonly ScaleReport[];
  readonly lag: Lag;
}

/** What the control plane knows of models and replicas, as Prometheus series; made anew at each scrape. */
function controlRegistry(models: readonly ModelReport[]): Registry {
  const registry = new Registry();
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> =>
    new Gauge({ name, help, labelNames: [...labelNames], registers: [registry] });
  const inFlight = gauge('roundhouse_replica_in_flight', 'Requests a replica works on now.', replicaLabels);
  const state = gauge('roundhouse_replica_state', '1 for the state the replica is in.', [...replicaLabels, 'state']);
  const modelInFlight = gauge('roundhouse_model_in_flight', "Requests a model's replicas work on now.", ['model']);
  const waiting = gauge('roundhouse_model_waiting', 'Requests accepted that no replica has taken yet.', ['model']);
  const desired = gauge('roundhouse_model_desired_replicas', 'Replicas that the config wants.', ['model']);
  const restarts = new Counter({
    name: 'roundhouse_replica_restarts_total',
    help: "Starts of a model's replicas after their first.",
    labelNames: ['model'],
    registers: [registry],
  });
  const flaps = new Counter({
    name: 'roundhouse_replica_probe_flaps_total',
    help: 'Times that a replica answered its health probe again after missing it.',
    labelNames: [...replicaLabels],
    registers: [registry],
  });
  const logLoss = new Counter({
    name: 'roundhouse_replica_log_lost_bytes_total',
    help: "Bytes of an engine's output that were lost: unread (it wrote faster than is read for causes and phases; the file has them), unkept (the disk is full: the log was cut without a copy). From its present run.",
    labelNames: [...replicaLabels, 'how'],
    registers: [registry],
  });
  for (const { name: model, waiting: waits, desired: wanted, restarts: restarted, replicas } of models) {
    waiting.set({ model }, waits);
    desired.set({ model }, wanted);
    restarts.inc({ model }, restarted);
    modelInFlight.set(
      { model },
      replicas.reduce((sum, replica) => sum + replica.inFlight, 0),
    );
    for (const replica of replicas) {
      const labels = { model, replica: String(replica.index) };
      inFlight.set(labels, replica.inFlight);
      flaps.inc(labels, replica.probeFlaps);
      logLoss.inc({ ...labels, how: 'unread' }, replica.logLoss?.unread ?? 0);
      logLoss.inc({ ...labels, how: 'unkept' }, replica.logLoss?.unkept ?? 0);
      state.set({ ...labels, state: replica.state }, 1);
    }
  }
  return registry;
}

/** Why replicas failed. */
function failureRegistry(models: readonly ModelReport[]): Registry {
  const registry = new Registry();
  const failures = new Counter({
    name: 'roundhouse_replica_failures_total',
    help: "Ends of a model's replicas that nobody asked for, failed starts included, by error code; cause: what the engine's log gives, e.g. out of memory, or empty.",
    labelNames: ['model', 'code', 'cause'],
    registers: [registry],
  });
  for (const { name: model, failures: all } of models)
    for (const { code, cause = '', count } of all) failures.inc({ model, code, cause }, count);
  return registry;
}

/** Why the numbers of replicas are what they are. */
function scalingRegistry(scaling: readonly ScaleReport[]): Registry {
  const registry = new Registry();
  const gauge = (name: string, help: string): Gauge<'model'> => new Gauge({ name, help, labelNames: ['model'], registers: [registry] });
  const desired = gauge('roundhouse_autoscale_desired_replicas', 'Replicas that the load wants, within the bounds and delays.');
  const formula = gauge('roundhouse_autoscale_formula_replicas', 'Replicas by the formula alone: before delays, within the bounds.');
  const running = gauge('roundhouse_autoscale_running_replicas', 'Replicas that serve.');
  const sleeping = gauge('roundhouse_autoscale_sleeping_replicas', 'Replicas that sleep, or are about to.');
  const ongoing = gauge('roundhouse_autoscale_ongoing_requests', 'Requests, sent and waiting, over the look-back period.');
  const target = gauge('roundhouse_autoscale_target_ongoing_requests', 'Requests that each replica is meant for.');
  const blocked = gauge('roundhouse_autoscale_lacks_gpus', '1 while a replica waits for GPUs that others hold.');
  const decisions = new Counter({
    name: 'roundhouse_autoscale_decisions_total',
    help: 'Changes of the number of replicas, by reason.',
    labelNames: ['model', 'reason'],
    registers: [registry],
  });
  for (const { model, rule, target: wanted, running: serving, asleep, why, lacksGpus, changes } of scaling) {
    desired.set({ model }, wanted);
    formula.set({ model }, why?.terms?.desired ?? wanted);
    running.set({ model }, serving);
    sleeping.set({ model }, asleep);
    ongoing.set({ model }, why?.input.ongoing ?? 0);
    target.set({ model }, rule.target.ongoing);
    blocked.set({ model }, lacksGpus === undefined ? 0 : 1);
    for (const [reason, count] of Object.entries(changes)) decisions.inc({ model, reason }, count);
  }
  return registry;
}

function reloadRegistry({ lastSuccessful, lastSuccessAtS }: ReloadReport): Registry {
  const registry = new Registry();
  const gauge = (name: string, help: string): Gauge => new Gauge({ name, help, registers: [registry] });
  gauge('roundhouse_config_last_reload_successful', '1 if the config was accepted when it was last read, else 0.').set(
    lastSuccessful ? 1 : 0,
  );
  gauge('roundhouse_config_last_reload_success_timestamp_seconds', 'Unix time when a config was last accepted.').set(lastSuccessAtS);
  return registry;
}

/** What this thread counts as every worker does. */
async function threadSnapshot({ logLinesDropped, lag }: Pick<ControlFacts, 'logLinesDropped' | 'lag'>): Promise<unknown> {
  const registry = new Registry();
  new Counter({ ...droppedLinesMetric, registers: [registry] }).inc(logLinesDropped);
  const lags = new Gauge({ ...lagMetric, registers: [registry] });
  for (const [quantile, seconds] of Object.entries(lag)) lags.set({ plane: 'control', quantile }, seconds);
  return await registry.getMetricsAsJSON();
}

/** The whole page: what the workers counted, added up, and what the control plane sees. `snapshots`: prom-client's JSON of each worker. */
export async function metricsPage(snapshots: readonly unknown[], facts: ControlFacts): Promise<string> {
  const threads = AggregatorRegistry.aggregate([...snapshots, await threadSnapshot(facts)] as object[]);
  const pages = await Promise.all([
    threads.metrics(),
    controlRegistry(facts.models).metrics(),
    failureRegistry(facts.models).metrics(),
    adapterRegistry(facts.models).metrics(),
    reloadRegistry(facts.reloads).metrics(),
    scalingRegistry(facts.scaling).metrics(),
    processRegistry().metrics(),
  ]);
  return pages.join('\n');
}
