import type { Autoscaling } from '../config/config.ts';
import { decide, initialState } from './decide.ts';
import type { ScaleState, Why } from './decide.ts';
import { LoadWindow } from './window.ts';

/** A model as a simulation has it. */
export interface SimulatedModel {
  readonly name: string;
  readonly rule: Autoscaling;
  /** From the decision to a replica that serves, in milliseconds. */
  readonly coldStartMs: number;
  /** Requests that a replica works on at once. */
  readonly slots: number;
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
  /** Time of all replicas together, starting ones included, in milliseconds. */
  readonly replicaMs: number;
}

interface Replica {
  inFlight: number;
  /** When it serves; in the past once it does. */
  readonly readyAt: number;
  readonly begunAt: number;
  draining: boolean;
}

interface Completion {
  readonly at: number;
  readonly replica: Replica;
}

/** A heap of what ends when. */
class Completions {
  readonly #all: Completion[] = [];

  get next(): number {
    return this.#all[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  push(completion: Completion): void {
    const all = this.#all;
    all.push(completion);
    for (let at = all.length - 1; at > 0;) {
      const up = (at - 1) >> 1;
      if (!this.#swapIfLess(at, up)) return;
      at = up;
    }
  }

  pop(): Completion | undefined {
    const all = this.#all;
    const [first] = all;
    const last = all.pop();
    if (first === undefined || last === undefined || all.length === 0) return first;
    all[0] = last;
    for (let at = 0; ;) {
      const left = 2 * at + 1;
      const least = (all[left + 1]?.at ?? Number.POSITIVE_INFINITY) < (all[left]?.at ?? Number.POSITIVE_INFINITY) ? left + 1 : left;
      if (!this.#swapIfLess(least, at)) return first;
      at = least;
    }
  }

  #swapIfLess(low: number, high: number): boolean {
    const a = this.#all[low];
    const b = this.#all[high];
    if (a === undefined || b === undefined || a.at >= b.at) return false;
    this.#all[low] = b;
    this.#all[high] = a;
    return true;
  }
}

/** One model under a load, in virtual time: replicas that start, serve in order of arrival, drain, and are taken back. */
class Simulation {
  readonly #model: SimulatedModel;
  readonly #requests: readonly SimulatedRequest[];
  readonly #stepMs: number;
  readonly #endMs: number;
  readonly #window: LoadWindow;
  readonly #completions = new Completions();
  readonly #samples: Sample[] = [];
  readonly #waits: number[] = [];
  #replicas: Replica[] = [];
  #state: ScaleState;
  #why: Why | undefined;
  #arrived = 0;
  /** Index of the request that waits longest; all from it to `#arrived` wait. */
  #served = 0;
  #inFlight = 0;
  #busyAt = 0;
  #coldStarts = 0;
  #replicaMs = 0;
  #dirty = true;
  /** What has happened up to here has been dealt with. */
  #now = -1;

  constructor(model: SimulatedModel, requests: readonly SimulatedRequest[], endMs: number, stepMs: number) {
    this.#model = model;
    this.#requests = requests;
    this.#endMs = endMs;
    this.#stepMs = stepMs;
    this.#window = new LoadWindow(model.rule.lookBackMs);
    this.#state = initialState(model.rule);
    // Those it begins with serve already.
    this.#replicas = Array.from({ length: this.#state.target }, () => ({ inFlight: 0, readyAt: 0, begunAt: 0, draining: false }));
  }

  run(): SimulatedModelResult {
    let tick = 0;
    for (;;) {
      const arrival = this.#requests[this.#arrived]?.atMs ?? Number.POSITIVE_INFINITY;
      const event = Math.min(arrival, this.#completions.next, this.#nextReady);
      // At rest nothing changes until something comes: the decisions in between would all be the same.
      if (this.#resting) tick = Math.max(tick, Math.ceil(event / this.#stepMs) * this.#stepMs);
      const now = Math.min(event, tick);
      if (now > this.#endMs) break;
      this.#now = now;
      if (event <= tick) this.#happen(now, arrival);
      else {
        this.#decide(now);
        tick += this.#stepMs;
      }
      this.#sample(now);
    }
    for (const { begunAt } of this.#replicas) this.#replicaMs += this.#endMs - begunAt;
    return {
      name: this.#model.name,
      samples: this.#samples,
      waitsMs: this.#waits,
      unserved: this.#requests.length - this.#served,
      coldStarts: this.#coldStarts,
      replicaMs: this.#replicaMs,
    };
  }

  get #waiting(): number {
    return this.#arrived - this.#served;
  }

  get #resting(): boolean {
    if (this.#dirty || this.#waiting > 0 || this.#state.counter !== 0) return false;
    return (this.#why?.reason === 'steady' || this.#why?.reason === 'asleep') && this.#window.points().length === 1;
  }

  /** When the next replica begins to serve, if somebody waits for that. */
  get #nextReady(): number {
    if (this.#waiting === 0) return Number.POSITIVE_INFINITY;
    return this.#replicas.reduce(
      (next, { readyAt, draining }) => (!draining && readyAt > this.#now ? Math.min(next, readyAt) : next),
      Number.POSITIVE_INFINITY,
    );
  }

  #happen(now: number, arrival: number): void {
    this.#dirty = true;
    if (this.#completions.next <= now) this.#complete(now);
    else if (arrival <= now) {
      this.#arrived += 1;
      // The first one that waits for a model without a replica is told at once.
      if (this.#state.target === 0) this.#decide(now);
    }
    this.#serve(now);
  }

  #complete(now: number): void {
    const done = this.#completions.pop();
    if (done === undefined) return;
    done.replica.inFlight -= 1;
    this.#inFlight -= 1;
    this.#busyAt = now;
    if (done.replica.draining && done.replica.inFlight === 0) this.#end(done.replica, now);
  }

  #end(replica: Replica, now: number): void {
    this.#replicas = this.#replicas.filter((other) => other !== replica);
    this.#replicaMs += now - replica.begunAt;
  }

  /** Gives waiting requests to the replica with the fewest, as long as one has room. */
  #serve(now: number): void {
    for (let request = this.#requests[this.#served]; request !== undefined && this.#waiting > 0; request = this.#requests[this.#served]) {
      let best: Replica | undefined;
      for (const replica of this.#replicas) {
        const free = !replica.draining && replica.readyAt <= now && replica.inFlight < this.#model.slots;
        if (free && replica.inFlight < (best?.inFlight ?? Number.POSITIVE_INFINITY)) best = replica;
      }
      if (best === undefined) return;
      best.inFlight += 1;
      this.#inFlight += 1;
      this.#served += 1;
      this.#waits.push(now - request.atMs);
      this.#completions.push({ at: now + request.durationMs, replica: best });
    }
  }

  #decide(now: number): void {
    const ongoingNow = this.#waiting + this.#inFlight;
    if (ongoingNow > 0) this.#busyAt = now;
    this.#window.add(now, ongoingNow);
    const { rule } = this.#model;
    const running = this.#replicas.filter(({ readyAt, draining }) => !draining && readyAt <= now).length;
    const input = {
      ongoing: this.#window.read(rule.aggregation, now),
      ongoingNow,
      running,
      idleMs: now - this.#busyAt,
      lacksGpus: false,
    };
    const { state, why } = decide(rule, this.#state, input, this.#stepMs);
    this.#dirty = state.target !== this.#state.target || running < state.target;
    this.#state = state;
    this.#why = why;
    this.#follow(now);
    this.#serve(now);
  }

  #follow(now: number): void {
    const staying = this.#replicas.filter(({ draining }) => !draining);
    let missing = this.#state.target - staying.length;
    for (const replica of this.#replicas) {
      if (missing <= 0 || !replica.draining) continue;
      replica.draining = false;
      missing -= 1;
    }
    for (; missing > 0; missing -= 1) {
      this.#coldStarts += 1;
      this.#replicas.push({ inFlight: 0, readyAt: now + this.#model.coldStartMs, begunAt: now, draining: false });
    }
    // Those that do not serve yet go first, then the newest.
    const leaving = staying
      .sort((a, b) => Number(b.readyAt > now) - Number(a.readyAt > now) || b.begunAt - a.begunAt)
      .slice(0, -missing || 0);
    for (const replica of leaving) {
      replica.draining = true;
      if (replica.inFlight === 0) this.#end(replica, now);
    }
  }

  #sample(now: number): void {
    const running = this.#replicas.reduce((count, { readyAt, draining }) => count + Number(!draining && readyAt <= now), 0);
    const sample = { atMs: now, wanted: this.#state.target, running, waiting: this.#waiting, inFlight: this.#inFlight };
    const last = this.#samples.at(-1);
    const same =
      last !== undefined &&
      last.wanted === sample.wanted &&
      last.running === running &&
      last.waiting === sample.waiting &&
      last.inFlight === sample.inFlight;
    if (same) return;
    if (last?.atMs === now) this.#samples.pop();
    this.#samples.push(sample);
  }
}

/**
 * What a model's number of replicas would be under a load, by the code that decides in a running gateway. GPUs are taken to be there.
 * @param requests in the order of their arrival
 * @param endMs when to stop; what waits then has not been served
 * @param stepMs between two decisions: `decisionPeriodMs` is what a gateway does, more is faster
 */
export function simulateModel(
  model: SimulatedModel,
  requests: readonly SimulatedRequest[],
  endMs: number,
  stepMs: number,
): SimulatedModelResult {
  return new Simulation(model, requests, endMs, stepMs).run();
}
