import type { AdapterDesk } from './adapters/desk.ts';
import type { ModelName } from '../core/ids.ts';
import type { Failure } from './failure.ts';
import { defaultRestartLimits } from './restart.ts';
import type { GpuGrant } from './gpus/holds.ts';
import type { GpuLedger } from './gpus/ledger.ts';
import { getAlone } from './http-get.ts';
import { staticProvider } from './providers/static.ts';
import { Replica } from './replica.ts';
import { gpuRequest } from './replica-plan.ts';
import type { ReplicaPlan } from './replica-plan.ts';
import type { FormerRun } from './run.ts';
import type { Slots } from './slots.ts';
import type { StartHistory } from './start-history.ts';
import type { StartQueue } from './start-queue.ts';
import type { SupervisorDeps } from './supervisor-deps.ts';

/** For replicas that others run: to look again costs nothing, and nobody should wait minutes for one that is back. */
const externalRestart = { longestDelayMs: 5_000, startsPerWindow: Number.POSITIVE_INFINITY } as const;

export interface ReplicaMakerDeps {
  readonly supervisor: SupervisorDeps;
  readonly gpus: GpuLedger;
  readonly starts: StartQueue;
  readonly slots: Slots;
  readonly history: StartHistory;
  readonly adapters: Pick<AdapterDesk, 'startSet' | 'blame'>;
  /** Settles when what a former gateway left has given its memory and ports back. */
  reaped(): Promise<void>;
  /** A replica of that model has failed. */
  failed(model: ModelName, failure: Failure): void;
  /** Something has changed that a plan or a table may show. */
  changed(): void;
}

/** A run of a former gateway that goes on, and what it holds. */
export interface Continued {
  readonly former: FormerRun;
  readonly gpus: GpuGrant;
}

/** Makes replicas, each with its part of what all share. */
export class ReplicaMaker {
  readonly #deps: ReplicaMakerDeps;

  constructor(deps: ReplicaMakerDeps) {
    this.#deps = deps;
  }

  /** One that has not asked for its first start yet. */
  make(index: number, plan: ReplicaPlan, continued?: Continued): Replica {
    const { supervisor, gpus, starts, slots, history, adapters } = this.#deps;
    const { name } = plan.model;
    const changed = (): void => this.#deps.changed();
    const { clock, board, log, random, weights, secrets = [], provider, call, get = getAlone, restart = defaultRestartLimits } = supervisor;
    const own = plan.upstream === undefined;
    // What is adopted is there already. All others wait until what a former gateway left has given its memory and ports back.
    const clear = continued === undefined ? this.#deps.reaped() : undefined;
    let held = continued?.gpus;
    const replica = new Replica(
      index,
      plan,
      {
        clock,
        board,
        log,
        random,
        weights,
        secrets,
        history,
        get,
        call,
        provider: own ? provider : staticProvider,
        restart: own ? restart : { ...restart, ...externalRestart },
        // Those that others run were started by them.
        adapters: (signal) => (own ? adapters.startSet(name, signal) : Promise.resolve([])),
        blame: (handle, why) => adapters.blame(name, handle, why),
        failed: (failure) => this.#deps.failed(name, failure),
        gpus: async (waits, signal) => {
          await clear;
          const grant = held ?? (await gpus.acquire(gpuRequest(index, replica.plan), waits, signal));
          held = undefined;
          return grant;
        },
        turn: (signal) => starts.take(signal),
        retire: (turn) => {
          slots.retire(turn.slot);
          changed();
        },
        changed,
      },
      continued?.former,
    );
    return replica;
  }
}
