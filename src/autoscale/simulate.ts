import type { ModelName } from '../core/ids.ts';
import { turnOf } from './gpu-turn.ts';
import type { FindsGpus } from './preempt.ts';
import { ModelSimulation } from './simulated-model.ts';
import type { SimulatedModel, SimulatedModelResult, SimulatedReplica, SimulatedRequest } from './simulated-model.ts';

export type { Sample, SimulatedModel, SimulatedModelResult, SimulatedRequest } from './simulated-model.ts';

/** A replica that has GPUs or waits for some. */
export interface GpuHolder {
  /** Unique. */
  readonly holder: string;
  readonly model: ModelName;
}

/** The machine's GPUs: who of those that wait gets which, beside what is held. `next`: what is free is kept for this model. */
export type GivesGpus = (
  waiting: readonly GpuHolder[],
  held: ReadonlyMap<GpuHolder, readonly string[]>,
  next: ModelName | undefined,
) => ReadonlyMap<GpuHolder, readonly string[]>;

export interface SimulatedLoad {
  readonly model: SimulatedModel;
  /** In the order of their arrival. */
  readonly requests: readonly SimulatedRequest[];
}

/** Who holds what, and whose turn it is: several models on one machine. */
class SharedGpus {
  readonly #models: ReadonlyMap<ModelName, ModelSimulation>;
  readonly #gives: GivesGpus;
  readonly #holders = new Map<SimulatedReplica, GpuHolder>();
  readonly #held = new Map<GpuHolder, readonly string[]>();
  #taker: ModelName | undefined;
  /** It is another model's turn. */
  #turned = false;
  /** Replicas without their GPUs. */
  #waiting = 0;

  constructor(models: readonly ModelSimulation[], gives: GivesGpus) {
    this.#models = new Map(models.map((model) => [model.name, model]));
    this.#gives = gives;
  }

  #holderOf(replica: SimulatedReplica, model: ModelName): GpuHolder {
    const known = this.#holders.get(replica);
    if (known !== undefined) return known;
    const holder = { holder: replica.id, model };
    this.#holders.set(replica, holder);
    return holder;
  }

  /** Gives what is free to those that wait, if anything has changed; returns whether that is so. */
  settle(now: number, how: 'start' | 'at-once' = 'start'): boolean {
    let moved = this.#turned;
    this.#turned = false;
    for (const model of this.#models.values()) {
      moved ||= model.moved;
      model.moved = false;
    }
    if (moved) this.#giveAll(now, how);
    return moved;
  }

  #giveAll(now: number, how: 'start' | 'at-once'): void {
    const alive = new Set<GpuHolder>();
    const waiting = new Map<GpuHolder, readonly [ModelSimulation, SimulatedReplica]>();
    for (const model of this.#models.values()) {
      for (const replica of model.replicas) {
        const holder = this.#holderOf(replica, model.name);
        alive.add(holder);
        if (replica.begunAt === undefined && !replica.draining) waiting.set(holder, [model, replica]);
      }
    }
    for (const holder of this.#held.keys()) if (!alive.has(holder)) this.#held.delete(holder);
    for (const [replica, holder] of this.#holders) if (!alive.has(holder)) this.#holders.delete(replica);
    this.#waiting = waiting.size;
    if (waiting.size === 0) return;
    for (const [holder, devices] of this.#gives([...waiting.keys()], this.#held, this.#taker)) {
      const [model, replica] = waiting.get(holder) ?? [];
      if (model === undefined || replica === undefined) continue;
      this.#held.set(holder, devices);
      model.grant(replica, now, how);
      this.#waiting -= 1;
    }
  }

  /** After all have decided: whoever must give way does. */
  share(now: number): void {
    if (this.#taker === undefined && this.#waiting === 0) return;
    const loads = [...this.#models.values()].map((model) => model.load(now));
    const scaled = new Map([...this.#models].map(([name, model]) => [name, model.scaled]));
    const turn = turnOf(scaled, loads, now, this.#finds(now), this.#taker);
    this.#turned ||= turn?.taker !== this.#taker;
    this.#taker = turn?.taker;
    for (const { name, replicas } of turn?.from ?? []) this.#models.get(name)?.yield(replicas, `its GPUs go to ${turn?.taker}`, now);
  }

  #finds(now: number): FindsGpus {
    return (taker, givenUp) => {
      const going = new Set([...givenUp].flatMap(([name, count]) => this.#models.get(name)?.leastWorth(count, now) ?? []));
      const gone = new Set([...going].map((replica) => this.#holders.get(replica)));
      const held = new Map([...this.#held].filter(([holder]) => !gone.has(holder)));
      return this.#gives([{ holder: 'another', model: taker }], held, undefined).size === 1;
    };
  }
}

const never = Number.POSITIVE_INFINITY;

/** The time of the next decision: at rest nothing changes until something happens. */
const nextTick = (tick: number, event: number, resting: boolean, stepMs: number): number =>
  resting && event > tick ? Math.ceil(event / stepMs) * stepMs : tick;

/** Lets virtual time pass for a model that finds all GPUs it wants. */
function runAlone(model: ModelSimulation, endMs: number, stepMs: number): void {
  for (let tick = 0; ;) {
    const event = model.nextEvent;
    tick = nextTick(tick, event, model.resting, stepMs);
    const now = Math.min(event, tick);
    if (now > endMs) return;
    if (event <= tick) model.happen(now);
    else {
      model.decide(now);
      tick += stepMs;
    }
    model.sample(now);
  }
}

/** Lets virtual time pass for models on one machine. */
function runTogether(models: readonly ModelSimulation[], endMs: number, stepMs: number, gives: GivesGpus): void {
  const gpus = new SharedGpus(models, gives);
  gpus.settle(0, 'at-once');
  const next = models.map((model) => model.nextEvent);
  for (let tick = 0; ;) {
    let at = 0;
    for (let other = 1; other < next.length; other += 1) if ((next[other] ?? never) < (next[at] ?? never)) at = other;
    const event = next[at] ?? never;
    tick = nextTick(tick, event, event > tick && models.every(({ resting }) => resting), stepMs);
    const now = Math.min(event, tick);
    if (now > endMs) return;
    const decides = event > tick;
    if (!decides) models[at]?.happen(now);
    else {
      for (const model of models) if (!model.resting) model.decide(now);
      gpus.share(now);
      tick += stepMs;
    }
    const settled = gpus.settle(now);
    // What one does may have moved the others.
    for (const [index, model] of models.entries()) {
      if (!settled && !decides && index !== at) continue;
      next[index] = model.nextEvent;
      model.sample(now);
    }
  }
}

/**
 * What the numbers of replicas would be under a load, by the code that decides in a running gateway.
 * @param endMs when to stop; what waits then has not been served
 * @param stepMs between two decisions: `decisionPeriodMs` is what a gateway does, more is faster
 * @param gives left out: every replica finds its GPUs at once, and no model concerns another
 */
export function simulate(
  loads: readonly SimulatedLoad[],
  endMs: number,
  stepMs: number,
  gives?: GivesGpus,
): readonly SimulatedModelResult[] {
  const models = loads.map(({ model, requests }) => new ModelSimulation(model, requests, stepMs, gives !== undefined));
  if (gives === undefined) for (const model of models) runAlone(model, endMs, stepMs);
  else runTogether(models, endMs, stepMs, gives);
  return models.map((model) => model.result(endMs));
}
