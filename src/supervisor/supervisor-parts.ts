import type { ModelName } from '../core/ids.ts';
import { AdapterDesk } from './adapters/desk.ts';
import { localAdapters } from './adapters/sources.ts';
import { Drains } from './drains.ts';
import type { Failure } from './failure.ts';
import { noGpus } from './gpus/devices.ts';
import { GpuLedger } from './gpus/ledger.ts';
import { ModelSet } from './model-set.ts';
import { ReplicaMaker } from './replica-maker.ts';
import { ReplicaSet } from './replica-set.ts';
import { Slots } from './slots.ts';
import { StartHistory } from './start-history.ts';
import { StartQueue } from './start-queue.ts';
import { Steps } from './steps.ts';
import type { SupervisorDeps } from './supervisor-deps.ts';
import { TablePublisher } from './table-publisher.ts';

/** Engines that may start at once, and how long a slow start counts among them. */
const startLimits = { parallel: 8, longestMs: 60_000 } as const;

/** What a supervisor consists of, wired. */
export interface SupervisorParts {
  readonly gpus: GpuLedger;
  readonly adapters: AdapterDesk;
  readonly maker: ReplicaMaker;
  readonly models: ModelSet;
  readonly replicas: ReplicaSet;
  readonly tables: TablePublisher;
  readonly drains: Drains;
  readonly steps: Steps;
}

/**
 * @param changed asks for another pass.
 * @param reaped settles when what a former gateway left has given its memory and ports back.
 */
export function partsOf(deps: SupervisorDeps, changed: () => void, reaped: () => Promise<void>): SupervisorParts {
  const slots = new Slots(deps.board.slots);
  const starts = new StartQueue(deps.clock, slots, startLimits);
  const tables = new TablePublisher(deps);
  const gpus = deps.gpus ?? new GpuLedger({ clock: deps.clock, log: deps.log, probe: noGpus, env: {} });
  gpus.listen(changed);
  const adapters = adapterDesk(deps, slots, tables, changed);
  const replicas = new ReplicaSet((model, replica) => adapters.outdated(model, replica.started));
  const history = deps.history ?? StartHistory.inMemory(deps.log);
  const models = new ModelSet(slots, () => deps.wallClockSeconds());
  const failed = (model: ModelName, failure: Failure): void => models.get(model)?.failures.add(failure);
  const maker = new ReplicaMaker({ supervisor: deps, gpus, starts, slots, history, adapters, reaped, failed, changed });
  return {
    gpus,
    adapters,
    maker,
    models,
    replicas,
    tables,
    steps: new Steps({ clock: deps.clock, models, replicas, maker, gpus }, changed),
    drains: new Drains({ clock: deps.clock, replicas, adapters, tables, slots, starts }),
  };
}

function adapterDesk(deps: SupervisorDeps, slots: Slots, tables: TablePublisher, changed: () => void): AdapterDesk {
  return new AdapterDesk({
    ...deps,
    sourceOf: deps.adapterSource ?? localAdapters,
    refuse: (model, adapter, error) => deps.refuse?.(model, adapter, error),
    show: (model, names) => deps.showAdapters?.(model, names),
    takeSlot: () => slots.take(),
    retireSlot: (slot) => {
      slots.retire(slot);
      changed();
    },
    quiet: (slot) => tables.quiet(slot),
    changed,
  });
}
