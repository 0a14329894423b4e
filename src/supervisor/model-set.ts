import { GatewayError } from '../core/errors.ts';
import type { ModelName, Slot } from '../core/ids.ts';
import { FailureCounts } from './failure-counts.ts';
import type { ReplicaPlan } from './replica-plan.ts';
import type { Slots } from './slots.ts';

/** A model that the config names. */
export interface Model {
  readonly plan: ReplicaPlan;
  /** Requests that wait for it are counted here. */
  readonly waiting: Slot;
  /** When it was first named, in Unix seconds. */
  readonly created: number;
  /** Of all replicas it had, while it was named. */
  readonly failures: FailureCounts;
  /** Restarts of replicas that exist no more. */
  formerRestarts: number;
  /** Nobody needs its replicas now: those that can are to sleep. */
  asleep: boolean;
  /** What it drains in the next pass gives its GPUs to another model, and is not taken back. */
  yields: boolean;
}

/** The models of the present config, each with a slot for those who wait. */
export class ModelSet {
  readonly #slots: Slots;
  readonly #wallClockSeconds: () => number;
  readonly #models = new Map<ModelName, Model>();

  constructor(slots: Slots, wallClockSeconds: () => number) {
    this.#slots = slots;
    this.#wallClockSeconds = wallClockSeconds;
  }

  /**
   * Makes `plans` the models there are. Those that were there keep their slot.
   * @throws GatewayError `config_invalid` when there is no slot for one; then nothing has changed.
   */
  replace(plans: readonly ReplicaPlan[]): void {
    const slots = this.#reserve(plans.filter((plan) => !this.#models.has(plan.model.name)).length, plans.length);
    const wanted = new Set(plans.map((plan) => plan.model.name));
    for (const [name, model] of this.#models) {
      if (wanted.has(name)) continue;
      this.#models.delete(name);
      this.#slots.retire(model.waiting);
    }
    for (const plan of plans) this.#set(plan, slots);
  }

  #reserve(count: number, models: number): Slot[] {
    const slots = Array.from({ length: count }, () => this.#slots.take()).filter((slot) => slot !== undefined);
    if (slots.length === count) return slots;
    for (const slot of slots.toReversed()) this.#slots.putBack(slot);
    throw new GatewayError('config_invalid', `${models} models need more slots than the load board has (${this.#slots.count})`);
  }

  #set(plan: ReplicaPlan, slots: Slot[]): void {
    const { name } = plan.model;
    const before = this.#models.get(name);
    const waiting = before?.waiting ?? slots.shift();
    if (waiting === undefined) throw new Error(`no slot was reserved for ${name}`);
    const created = before?.created ?? this.#wallClockSeconds();
    const asleep = before?.asleep === true && plan.model.autoscaling?.sleepMs !== undefined;
    const { formerRestarts = 0, failures = new FailureCounts() } = before ?? {};
    this.#models.set(name, { plan, waiting, created, failures, formerRestarts, asleep, yields: false });
  }

  /** Sets how many replicas a model wants, until the next `replace()`, and how; returns whether there is such a model. */
  scale(name: ModelName, replicas: number, { yields, asleep }: Pick<Model, 'yields' | 'asleep'>): boolean {
    const model = this.#models.get(name);
    if (model === undefined) return false;
    const plan = { ...model.plan, model: { ...model.plan.model, replicas } };
    this.#models.set(name, { ...model, plan, asleep, yields: model.yields || yields });
    return true;
  }

  /** The drains that `scale()` was called for have begun. */
  settleYields(): void {
    for (const model of this.#models.values()) model.yields = false;
  }

  get(name: ModelName): Model | undefined {
    return this.#models.get(name);
  }

  entries(): IterableIterator<[ModelName, Model]> {
    return this.#models.entries();
  }

  values(): IterableIterator<Model> {
    return this.#models.values();
  }
}
