import type pino from 'pino';
import type { Clock } from '../../core/clock.ts';
import type { GpuDevice } from './devices.ts';
import type { GpuInventory } from './inventory.ts';
import type { GpuHold } from './place.ts';
import { gpuEnvironment } from './visible.ts';

/** GPUs that are a run's own until it releases them. */
export interface GpuGrant {
  /** Ids, as `GpuDevice.id`; none for an engine without GPUs. */
  readonly ids: readonly string[];
  /** As `nvidia-smi` numbers them, or the id of a MIG instance. */
  readonly labels: readonly string[];
  /** To be set in the engine's environment, over everything else. */
  readonly env: Readonly<Record<string, string>>;
  /** Resolves, with the reason, once one of them is surely lost; else never settles. */
  readonly lost: Promise<string>;
  /** To be called when no process of the run is left; each GPU is given on once its memory is free too. Twice is once. */
  release(): void;
}

interface Hold extends GpuHold {
  /** Its run is over, its memory may not be. */
  leaving: boolean;
  readonly lose: (reason: string) => void;
}

export interface GpuHoldsDeps {
  readonly clock: Clock;
  readonly log: pino.Logger;
  readonly inventory: GpuInventory;
  /** Ends all waiting for memory. */
  readonly closed: AbortSignal;
  /** A device has another holder less. */
  freed(): void;
  defect(thrown: unknown): void;
}

/** How long a GPU is kept back for memory that does not come free: somebody else may be using it. */
const freeWithinMs = 30_000;
const lookMs = 250;
/** What an idle card's reading may differ by from one time to the next; less than any process with a context on it takes. */
const toleranceBytes = 268_435_456;

/** Who holds which GPU, until its memory is free again. */
export class GpuHolds {
  readonly #deps: GpuHoldsDeps;
  readonly #holds = new Set<Hold>();
  /** Memory others used when the card was given to its first holder, in bytes. */
  readonly #baseline = new Map<string, number>();

  constructor(deps: GpuHoldsDeps) {
    this.#deps = deps;
  }

  /** Those included whose run is over and whose memory is not free yet. */
  all(): readonly (GpuHold & { readonly leaving: boolean })[] {
    return [...this.#holds];
  }

  /** Gives devices that the driver has just shown. */
  give(holder: string, share: number, devices: readonly GpuDevice[]): GpuGrant {
    const held = new Set([...this.#holds].map(({ device }) => device));
    for (const { id, usedBytes } of devices) if (!held.has(id)) this.#baseline.set(id, usedBytes ?? 0);
    const ids = devices.map(({ id }) => id);
    return this.#grant(holder, share, ids, gpuEnvironment(devices));
  }

  /** Notes that a run which goes on from before holds these devices; it has its environment already. */
  keep(holder: string, share: number, ids: readonly string[]): GpuGrant {
    return this.#grant(holder, share, ids, gpuEnvironment([]));
  }

  /** Tells the holders of lost devices. */
  lose(lost: ReadonlyMap<string, string>): void {
    for (const hold of this.#holds) {
      const reason = lost.get(hold.device);
      if (reason !== undefined && !hold.leaving) hold.lose(`${this.#deps.inventory.label(hold.device)}: ${reason}`);
    }
  }

  #grant(holder: string, share: number, ids: readonly string[], env: GpuGrant['env']): GpuGrant {
    const { inventory } = this.#deps;
    const lost = Promise.withResolvers<string>();
    const holds = ids.map((device): Hold => ({ holder, device, share, leaving: false, lose: lost.resolve }));
    for (const hold of holds) this.#holds.add(hold);
    const label = (id: string): string => {
      const device = inventory.get(id);
      return device === undefined || device.partition ? id : String(device.index);
    };
    return {
      ids,
      get labels() {
        return ids.map(label);
      },
      env,
      lost: lost.promise,
      release: () => {
        for (const hold of holds) {
          if (hold.leaving) continue;
          hold.leaving = true;
          this.#takeBack(hold).catch((thrown: unknown) => this.#deps.defect(thrown));
        }
      },
    };
  }

  async #takeBack(hold: Hold): Promise<void> {
    const { clock, inventory, log, closed } = this.#deps;
    const deadline = clock.now() + freeWithinMs;
    while (!(await this.#isFree(hold))) {
      if (clock.now() >= deadline) {
        const message = `memory of ${inventory.label(hold.device)} is still in use ${freeWithinMs / 1000} s after ${hold.holder} ended; the GPU is given on`;
        log.warn({ gpu: hold.device, usedBytes: inventory.get(hold.device)?.usedBytes }, message);
        break;
      }
      await clock.sleep(lookMs, closed);
    }
    this.#holds.delete(hold);
    this.#deps.freed();
  }

  /** Whether what is in use on the card is no more than others may use: strangers as before, and other holders their shares. */
  async #isFree(hold: Hold): Promise<boolean> {
    const { inventory, closed } = this.#deps;
    if ((await inventory.refresh(closed)) !== undefined) return false;
    const device = inventory.get(hold.device);
    if (device?.usedBytes === undefined || inventory.quarantined.has(hold.device)) return true;
    const others = [...this.#holds].filter((other) => other.device === hold.device && other !== hold && !other.leaving);
    const allowed = others.reduce((sum, { share }) => sum + share * device.memoryBytes, this.#baseline.get(device.id) ?? 0);
    return device.usedBytes <= allowed + toleranceBytes;
  }
}
