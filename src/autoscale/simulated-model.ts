import type { Autoscaling } from '../config/config.ts';
import { modelName } from '../core/ids.ts';
import type { ModelName } from '../core/ids.ts';
import type { ModelLoad } from '../core/model-load.ts';
import { Completions } from './completions.ts';
import { initialState } from './decide.ts';
import { ScaledModel } from './scaled-model.ts';

/** A model as a simulation has it. Times in milliseconds. */
export interface SimulatedModel {
  readonly name: string;
  readonly rule: Autoscaling;
  /** From the decision, or from the GPU, to a replica that serves. */
  readonly coldStartMs: number;
  /** From the decision to a replica that has slept and serves; left out: none sleeps. */
  readonly wakeMs?: number;
  /** Requests that a replica works on at once. */
  readonly slots: number;
  /** GPUs, or parts of them, that each replica has; left out: none. */
  readonly gpusEach?: number;
  /** Equal for two models whose replicas ask for the same GPUs; left out: how many they are. */
  readonly gpuNeed?: string;
  readonly priority?: number;
}

export interface SimulatedRequest {
  readonly atMs: number;
  /** At a replica, whatever else it works on. */
  readonly durationMs: number;
}

/** What there is from `atMs` on. */
export interface Sample {
  readonly atMs: number;
  readonly wanted: number;
  readonly running: number;
  readonly waiting: number;
  readonly inFlight: number;
}

export interface SimulatedModelResult {
  readonly name: string;
  /** One for each change, oldest first. */
  readonly samples: readonly Sample[];
  /** Of each request, in milliseconds, in the order of their arrival; those that were served. */
  readonly waitsMs: readonly number[];
  readonly unserved: number;
  readonly coldStarts: number;
  /** Times that replicas which slept were woken. */
  readonly wakes: number;
  /** Replicas that were given up for another model. */
  readonly yielded: number;
  /** Time of all replicas together, from when they have their GPUs, in milliseconds. */
  readonly replicaMs: number;
}

/** One replica of a simulated model. */
export interface SimulatedReplica {
  /** Unique in a simulation. */
  readonly id: string;
  inFlight: number;
  /** When it serves; in the past once it does, Infinity while it has no GPUs or sleeps. */
  readyAt: number;
  /** When it got its GPUs; undefined before. */
  begunAt: number | undefined;
  asleep: boolean;
  draining: boolean;
  /** Not to be taken back from its drain. */
  final: boolean;
}

interface Completion {
  readonly at: number;
  readonly replica: SimulatedReplica;
}

const never = Number.POSITIVE_INFINITY;

/** One model under a load, in virtual time: replicas that start, serve in order of arrival, sleep, drain, and are taken back. */
export class ModelSimulation {
  readonly name: ModelName;
  readonly scaled: ScaledModel;
  readonly #model: SimulatedModel;
  readonly #requests: readonly SimulatedRequest[];
  readonly #stepMs: number;
  readonly #completions = new Completions<Completion>();
  readonly #samples: Sample[] = [];
  readonly #waits: number[] = [];
  readonly #shares: boolean;
  readonly replicas = new Set<SimulatedReplica>();
  /** Replicas have come or gone since whoever gives GPUs out looked last. */
  moved = true;
  #arrived = 0;
  /** Index of the request that waits longest; all from it to `#arrived` wait. */
  #served = 0;
  #completed = 0;
  #coldStarts = 0;
  #wakes = 0;
  #born = 0;
  #replicaMs = 0;
  #changed = true;
  /** What has happened up to here has been dealt with. */
  #now = -1;

  /** @param shares replicas wait until they are granted their GPUs */
  constructor(model: SimulatedModel, requests: readonly SimulatedRequest[], stepMs: number, shares: boolean) {
    this.name = modelName(model.name);
    this.#model = model;
    this.#requests = requests;
    this.#stepMs = stepMs;
    this.#shares = shares;
    const { wakeMs, rule } = model;
    const { sleepMs: _, ...awake } = rule;
    this.scaled = new ScaledModel(wakeMs === undefined ? awake : rule, initialState(rule), 0);
    for (let count = this.scaled.state.target; count > 0; count -= 1) this.#add(0, 'at-once');
  }

  get #waiting(): number {
    return this.#arrived - this.#served;
  }

  /** When the next thing happens that is not a decision. */
  get nextEvent(): number {
    const arrival = this.#requests[this.#arrived]?.atMs ?? never;
    return Math.min(arrival, this.#completions.next, this.#nextReady);
  }

  /** Whether nothing changes until something happens: the decisions in between would all be the same. */
  get resting(): boolean {
    return !this.#changed && this.#waiting === 0 && this.scaled.settled;
  }

  /** When the next replica begins to serve, if somebody waits for that. */
  get #nextReady(): number {
    let next = never;
    if (this.#waiting === 0) return next;
    for (const { readyAt, draining } of this.replicas) if (!draining && readyAt > this.#now && readyAt < next) next = readyAt;
    return next;
  }

  #serves({ draining, asleep, readyAt }: SimulatedReplica, now: number): boolean {
    return !draining && !asleep && readyAt <= now;
  }

  /** Deals with what happens at `now`, the time of `nextEvent`. */
  happen(now: number): void {
    this.#now = now;
    this.#changed = true;
    if (this.#completions.next <= now) this.#complete(now);
    else if ((this.#requests[this.#arrived]?.atMs ?? never) <= now) {
      this.#arrived += 1;
      // The first one that waits for a model without a replica, or none that is awake, is told at once.
      if (this.scaled.state.target === 0 || this.scaled.sleep) this.decide(now);
    }
    this.#serve(now);
  }

  #complete(now: number): void {
    const done = this.#completions.pop();
    if (done === undefined) return;
    this.#completed += 1;
    done.replica.inFlight -= 1;
    if (done.replica.draining && done.replica.inFlight === 0) this.#end(done.replica, now);
  }

  #add(now: number, how: 'start' | 'at-once'): void {
    this.#born += 1;
    this.moved = true;
    const id = `${this.#model.name}-${this.#born}`;
    const replica = { id, inFlight: 0, readyAt: never, begunAt: undefined, asleep: false, draining: false, final: false };
    this.replicas.add(replica);
    if (!this.#shares) this.grant(replica, now, how);
  }

  /** It has what it needs: it starts. @param how `at-once`: it is there from the beginning */
  grant(replica: SimulatedReplica, now: number, how: 'start' | 'at-once'): void {
    if (how === 'start') this.#coldStarts += 1;
    replica.begunAt = now;
    replica.readyAt = how === 'start' ? now + this.#model.coldStartMs : now;
    this.#changed = true;
    this.#serve(now);
  }

  #end(replica: SimulatedReplica, now: number): void {
    this.moved = true;
    this.replicas.delete(replica);
    if (replica.begunAt !== undefined) this.#replicaMs += now - replica.begunAt;
  }

  /** Gives waiting requests to the replica with the fewest, as long as one has room. */
  #serve(now: number): void {
    for (let request = this.#requests[this.#served]; request !== undefined && this.#waiting > 0; request = this.#requests[this.#served]) {
      let best: SimulatedReplica | undefined;
      for (const replica of this.replicas) {
        const free = this.#serves(replica, now) && replica.inFlight < this.#model.slots;
        if (free && replica.inFlight < (best?.inFlight ?? never)) best = replica;
      }
      if (best === undefined) return;
      best.inFlight += 1;
      this.#served += 1;
      this.#waits.push(now - request.atMs);
      this.#completions.push({ at: now + request.durationMs, replica: best });
    }
  }

  load(now: number): ModelLoad {
    let inFlight = 0;
    let running = 0;
    let asleep = 0;
    let leaving = 0;
    let newest = -1;
    let lacks = false;
    for (const replica of this.replicas) {
      if (replica.draining) leaving += 1;
      else {
        inFlight += replica.inFlight;
        lacks ||= replica.begunAt === undefined;
        if (replica.asleep) asleep += 1;
        else if (replica.readyAt <= now) {
          running += 1;
          newest = Math.max(newest, replica.readyAt);
        }
      }
    }
    return {
      name: this.name,
      waiting: this.#waiting,
      inFlight,
      progress: this.#completed,
      running,
      asleep,
      wanted: this.scaled.state.target,
      newestSince: running === 0 ? undefined : newest,
      gpusEach: this.#model.gpusEach ?? 0,
      gpuNeed: this.#model.gpuNeed ?? String(this.#model.gpusEach ?? 0),
      priority: this.#model.priority ?? 0,
      leaving,
      lacksGpus: lacks ? 'waiting for a GPU' : undefined,
    };
  }

  decide(now: number): void {
    this.#now = now;
    const { target: before } = this.scaled.state;
    const { sleep } = this.scaled;
    const load = this.load(now);
    const { replicas: target } = this.scaled.decide(load, now, now, this.#stepMs);
    this.#changed = target !== before || load.running + load.asleep < target;
    if (target !== this.replicas.size - load.leaving) this.#follow(now, false);
    if (sleep || this.scaled.sleep) this.#rest(now);
    if (this.#waiting > 0) this.#serve(now);
  }

  /** Gives replicas up for another model, for good. */
  yield(replicas: number, because: string, now: number): void {
    this.scaled.set(this.scaled.state.target - replicas, 'yielded', because, now);
    this.#changed = true;
    this.#follow(now, true);
  }

  #follow(now: number, final: boolean): void {
    const staying = [...this.replicas].filter(({ draining }) => !draining);
    let missing = this.scaled.state.target - staying.length;
    for (const replica of this.replicas) {
      if (missing <= 0 || !replica.draining || replica.final) continue;
      replica.draining = false;
      missing -= 1;
    }
    for (; missing > 0; missing -= 1) this.#add(now, 'start');
    for (const replica of this.#byWorth(staying, now).slice(0, Math.max(0, -missing))) {
      replica.draining = true;
      replica.final = final;
      if (replica.inFlight === 0) this.#end(replica, now);
    }
  }

  /** Those that would go if so many did. */
  leastWorth(count: number, now: number): readonly SimulatedReplica[] {
    const staying = [...this.replicas].filter(({ draining }) => !draining);
    return this.#byWorth(staying, now).slice(0, count);
  }

  /** As `leastWorth()` of the supervisor's plan: what does not serve, then what has the fewest requests, then the newest. */
  #byWorth(replicas: SimulatedReplica[], now: number): readonly SimulatedReplica[] {
    const serves = (replica: SimulatedReplica): number => Number(this.#serves(replica, now));
    return replicas.sort((a, b) => serves(a) - serves(b) || a.inFlight - b.inFlight || b.readyAt - a.readyAt);
  }

  #rest(now: number): void {
    for (const replica of this.replicas) {
      if (this.scaled.sleep && this.#serves(replica, now) && replica.inFlight === 0) replica.asleep = true;
      else if (!this.scaled.sleep && replica.asleep) {
        replica.asleep = false;
        replica.readyAt = now + (this.#model.wakeMs ?? 0);
        this.#wakes += 1;
      }
    }
  }

  sample(now: number): void {
    let running = 0;
    let inFlight = 0;
    for (const replica of this.replicas) {
      inFlight += replica.inFlight;
      if (this.#serves(replica, now)) running += 1;
    }
    const wanted = this.scaled.state.target;
    const waiting = this.#waiting;
    const last = this.#samples.at(-1);
    const same =
      last !== undefined && last.wanted === wanted && last.running === running && last.waiting === waiting && last.inFlight === inFlight;
    if (same) return;
    if (last?.atMs === now) this.#samples.pop();
    this.#samples.push({ atMs: now, wanted, running, waiting, inFlight });
  }

  result(endMs: number): SimulatedModelResult {
    const running = [...this.replicas].reduce((sum, { begunAt }) => sum + (begunAt === undefined ? 0 : endMs - begunAt), 0);
    return {
      name: this.#model.name,
      samples: this.#samples,
      waitsMs: this.#waits,
      unserved: this.#requests.length - this.#served,
      coldStarts: this.#coldStarts,
      wakes: this.#wakes,
      yielded: this.scaled.changes.yielded ?? 0,
      replicaMs: this.#replicaMs + running,
    };
  }
}
