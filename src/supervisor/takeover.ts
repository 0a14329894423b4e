import { chooseAdoptions } from './adoption.ts';
import type { GpuLedger } from './gpus/ledger.ts';
import type { Lease } from './providers/lease.ts';
import type { LogWatch, Recovered, Recovery } from './providers/provider.ts';
import { replicaName } from './replica-id.ts';
import type { Continued } from './replica-maker.ts';
import { desiredOf } from './replica-plan.ts';
import type { ReplicaPlan } from './replica-plan.ts';
import { adoptedAdapters } from './run.ts';

/** What becomes of what a former gateway left. */
export interface Takeover {
  readonly adopt: readonly Lease[];
  /** Ends all that is not adopted; settles when nothing of it is left. Its GPUs are given to nobody before. */
  readonly reap: (gpus: GpuLedger, recovery: Recovery) => Promise<void>;
}

export function takeover(plans: readonly ReplicaPlan[], { adoptable, remains }: Recovered): Takeover {
  const { adopt, reap } = chooseAdoptions(plans.map(desiredOf), adoptable);
  return {
    adopt,
    reap: async (gpus, recovery) => {
      const held = reap.map(({ id, gpus: ids }) => ({ id, grant: gpus.keep(id, ids, 1) }));
      const giveBack = (id: string): void => held.find((hold) => hold.id === id)?.grant.release();
      const unwanted = [...remains, ...reap.map(({ id, process }) => ({ id, pgid: process?.pid }))];
      await Promise.all(unwanted.map((left) => recovery.reap(left).then(() => giveBack(left.id))));
    },
  };
}

/** How a replica goes on with the engine of a lease, and with its GPUs. */
export function continuedFrom(lease: Lease, { engine }: ReplicaPlan, gpus: GpuLedger, recovery: Recovery): Continued {
  return {
    former: { id: lease.id, adapters: adoptedAdapters(lease), adopt: (watch: LogWatch) => recovery.adopt(lease, watch) },
    gpus: gpus.keep(replicaName(lease.model, lease.index), lease.gpus, engine.needs.memoryShare),
  };
}
