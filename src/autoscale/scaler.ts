import { isDeepStrictEqual } from 'node:util';
import type pino from 'pino';
import type { Autoscaling, ModelConfig } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';
import { GatewayError } from '../core/errors.ts';
import type { ModelName } from '../core/ids.ts';
import type { ModelLoad } from '../core/model-load.ts';
import { decisionPeriodMs, initialState, underRule } from './decide.ts';
import type { ScaleReason, Why } from './decide.ts';
import type { HistoryRecord } from './history.ts';
import type { KeptTargets } from './kept-targets.ts';
import { ScaledModel } from './scaled-model.ts';
import { turnOf } from './gpu-turn.ts';
import type { FindsGpus } from './preempt.ts';

export interface ScalerDeps {
  readonly clock: Clock;
  readonly log: pino.Logger;
  /** Of all models that are scaled, now. */
  loads(): readonly ModelLoad[];
  /** `yields`: what it loses goes to another model, and is not taken back. `asleep`: what it keeps is to sleep, where it can. */
  scale(model: ModelName, replicas: number, how: { readonly yields: boolean; readonly asleep: boolean }): void;
  readonly findsGpus: FindsGpus;
  /** GPUs that come free are kept for this model, if for any. */
  keepGpusFor(model: ModelName | undefined): void;
  readonly kept: KeptTargets;
  /** Unix milliseconds. */
  wallClockMs(): number;
}

/** What is known of one model's scaling. */
export interface ScaleReport {
  readonly model: ModelName;
  readonly rule: Autoscaling;
  /** Replicas wanted, and those that serve. */
  readonly target: number;
  readonly running: number;
  /** Replicas that sleep, or are about to. */
  readonly asleep: number;
  /** Of the last decision; undefined before the first. */
  readonly why: Why | undefined;
  /** Why a replica of it waits for GPUs; undefined where none does. */
  readonly lacksGpus: string | undefined;
  /** Decisions so far that changed the number, by reason, and interventions. */
  readonly changes: Readonly<Partial<Record<ScaleReason | 'by-hand' | 'yielded', number>>>;
  /** Oldest first. */
  readonly history: readonly HistoryRecord[];
}

/**
 * The loop of the third flow: each period, and at once when a request finds no replica, it reads the load, asks `decide()` for each
 * model, and hands the numbers to the supervisor. It owns how many replicas are wanted; config, reload and restart only bound that.
 */
export class Scaler {
  readonly #deps: ScalerDeps;
  readonly #models = new Map<ModelName, ScaledModel>();
  readonly #kept: ReadonlyMap<string, number>;
  /** Whose turn it is to get GPUs. */
  #taker: ModelName | undefined;
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(deps: ScalerDeps) {
    this.#deps = deps;
    this.#kept = deps.kept.read();
  }

  /** The models with the numbers of replicas that are wanted now, within the bounds that these models give. Nothing changes. */
  adjusted(models: readonly ModelConfig[]): readonly ModelConfig[] {
    return models.map((model) => {
      const { name, autoscaling } = model;
      if (autoscaling === undefined) return model;
      return { ...model, replicas: this.#stateFor(name, autoscaling).target };
    });
  }

  /** Scales these models from now on, those it had before from where they are. */
  configure(models: readonly ModelConfig[]): void {
    const scaled = models.flatMap(({ name, autoscaling }) => (autoscaling === undefined ? [] : [{ name, autoscaling }]));
    const wanted = new Set(scaled.map(({ name }) => name));
    for (const name of this.#models.keys()) if (!wanted.has(name)) this.#models.delete(name);
    for (const { name, autoscaling } of scaled) {
      const state = this.#stateFor(name, autoscaling);
      const before = this.#models.get(name);
      if (before === undefined) this.#models.set(name, new ScaledModel(autoscaling, state, this.#deps.clock.now()));
      else before.follow(autoscaling, state);
    }
    this.#keep();
    this.#schedule();
  }

  #stateFor(name: ModelName, rule: Autoscaling): ScaledModel['state'] {
    const known = this.#models.get(name);
    if (known !== undefined) return isDeepStrictEqual(known.rule, rule) ? known.state : underRule(rule, known.state);
    const kept = this.#kept.get(name);
    return kept === undefined ? initialState(rule) : underRule(rule, { target: kept, counter: 0 });
  }

  /** A request waits for a model that has no replica, or none that is awake. */
  demand(name: ModelName): void {
    const model = this.#models.get(name);
    if (model !== undefined && (model.sleep || model.state.target === 0)) this.#decideAll();
  }

  /**
   * Sets the number by hand; the rule goes on from there.
   * @throws GatewayError `request_invalid` for a number out of bounds
   */
  set(name: ModelName, replicas: number): { readonly from: number } | undefined {
    const model = this.#models.get(name);
    if (model === undefined) return undefined;
    const { min, max } = model.rule;
    if (replicas < min || replicas > max)
      throw new GatewayError(
        'request_invalid',
        `${name} has from ${min} to ${max} replicas by its load (autoscaling_config); expected a number of them, got ${replicas}.`,
      );
    const from = model.state.target;
    this.#intervene(name, model, replicas, 'by-hand', 'set by hand');
    return { from };
  }

  reports(): readonly ScaleReport[] {
    const loads = new Map(this.#deps.loads().map((load) => [load.name, load]));
    return [...this.#models].map(([name, { rule, state, why, changes, history }]) => ({
      model: name,
      rule,
      target: state.target,
      running: loads.get(name)?.running ?? 0,
      asleep: loads.get(name)?.asleep ?? 0,
      why,
      lacksGpus: loads.get(name)?.lacksGpus,
      changes: { ...changes },
      history: history.records(),
    }));
  }

  /** Decides nothing more. */
  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  #schedule(): void {
    if (this.#cancel !== undefined || this.#stopped || this.#models.size === 0) return;
    this.#cancel = this.#deps.clock.after(decisionPeriodMs, () => {
      this.#cancel = undefined;
      try {
        this.#decideAll();
      } catch (error) {
        this.#deps.log.error({ err: error }, 'defect in the autoscaler');
      }
      this.#schedule();
    });
  }

  #decideAll(): void {
    if (this.#stopped) return;
    const now = this.#deps.clock.now();
    const loads = this.#deps.loads();
    for (const load of loads) {
      const model = this.#models.get(load.name);
      if (model === undefined) continue;
      const from = model.state.target;
      const { sleep } = model;
      const record = model.decide(load, now, this.#deps.wallClockMs());
      if (record.replicas !== from || model.sleep !== sleep) this.#change(load.name, model, from, record.reason);
    }
    this.#shareGpus(loads, now);
  }

  #change(name: ModelName, model: ScaledModel, from: number, reason: string): void {
    const to = model.state.target;
    const how = model.sleep ? ', asleep' : '';
    this.#deps.log.info(
      { model: name, from, to, reason, ongoing: model.why?.input.ongoing },
      `${name}: ${from} → ${to} replicas${how} (${reason})`,
    );
    this.#deps.scale(name, to, { yields: false, asleep: model.sleep });
    this.#keep();
  }

  #intervene(name: ModelName, model: ScaledModel, replicas: number, kind: 'by-hand' | 'yielded', because: string): void {
    const from = model.state.target;
    model.set(replicas, kind, because, this.#deps.wallClockMs());
    this.#deps.log.info({ model: name, from, to: replicas, reason: kind }, `${name}: ${from} → ${replicas} replicas (${because})`);
    this.#deps.scale(name, replicas, { yields: kind === 'yielded', asleep: model.sleep });
    this.#keep();
  }

  #shareGpus(loads: readonly ModelLoad[], now: number): void {
    const turn = turnOf(this.#models, loads, now, (taker, givenUp) => this.#deps.findsGpus(taker, givenUp), this.#taker);
    if (turn?.taker !== this.#taker) this.#deps.keepGpusFor(turn?.taker);
    this.#taker = turn?.taker;
    for (const { name, replicas } of turn?.from ?? []) {
      const model = this.#models.get(name);
      if (model !== undefined) this.#intervene(name, model, model.state.target - replicas, 'yielded', `its GPUs go to ${turn?.taker}`);
    }
  }

  #keep(): void {
    this.#deps.kept.write(new Map([...this.#models].map(([name, { state }]) => [name, state.target])));
  }
}
