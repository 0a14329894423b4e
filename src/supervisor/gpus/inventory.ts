import type pino from 'pino';
import { messageOf } from '../../core/errors.ts';
import { gpuLabel } from './devices.ts';
import type { GpuDevice, GpuList, GpuProbe } from './devices.ts';
import { absentFrom, notListed, surelyLost } from './loss.ts';
import { lostAmong } from './pool.ts';

export interface GpuInventoryDeps {
  readonly log: pino.Logger;
  readonly probe: GpuProbe;
}

export interface GpuInventoryEvents {
  /** A device is given to nobody from now on. */
  quarantined(): void;
  /** The driver says so of these devices, by id, and why. */
  lost(lost: ReadonlyMap<string, string>): void;
}

/** The GPUs of this machine as the driver last showed them. One that it has lost stays quarantined until the gateway starts anew. */
export class GpuInventory {
  readonly #deps: GpuInventoryDeps;
  readonly #events: GpuInventoryEvents;
  readonly #known = new Map<string, GpuDevice>();
  readonly #quarantined = new Map<string, string>();
  #lastList: GpuList = { devices: [], lost: [] };
  /** What the last look for lost GPUs did not have. */
  #absent: ReadonlySet<string> = new Set();

  constructor(deps: GpuInventoryDeps, events: GpuInventoryEvents) {
    this.#deps = deps;
    this.#events = events;
  }

  /** Everything that was ever listed. */
  all(): readonly GpuDevice[] {
    return [...this.#known.values()];
  }

  get(id: string): GpuDevice | undefined {
    return this.#known.get(id);
  }

  /** In words; the id of one that was never listed. */
  label(id: string): string {
    const device = this.#known.get(id);
    return device === undefined ? id : gpuLabel(device);
  }

  /** Why devices are given to nobody, by id. */
  get quarantined(): ReadonlyMap<string, string> {
    return this.#quarantined;
  }

  /** Reads the devices anew; undefined, or why that was not possible: then what was known stands. Rejects only with `signal.reason`. */
  async refresh(signal: AbortSignal): Promise<string | undefined> {
    try {
      this.#learn(await this.#deps.probe.list(signal));
      return undefined;
    } catch (thrown) {
      signal.throwIfAborted();
      this.#deps.log.warn({ err: thrown }, 'the GPUs of this machine could not be read');
      return messageOf(thrown);
    }
  }

  /** As `refresh()`; two of these in a row that do not list a device show that it is lost too. */
  async lookForLoss(signal: AbortSignal): Promise<void> {
    if ((await this.refresh(signal)) !== undefined) return;
    const known = this.all();
    const lost = surelyLost(this.#lastList, known, this.#absent);
    this.#absent = absentFrom(this.#lastList, known);
    this.#events.lost(lost);
  }

  #learn(list: GpuList): void {
    this.#lastList = list;
    for (const device of list.devices) this.#known.set(device.id, device);
    const known = this.all();
    const named = lostAmong(known, list.lost);
    const absent = absentFrom(list, known);
    for (const device of known) {
      const reason = named.get(device.id) ?? (absent.has(device.id) ? notListed : undefined);
      if (reason !== undefined) this.#quarantine(device, reason);
    }
    this.#events.lost(named);
  }

  #quarantine(device: GpuDevice, reason: string): void {
    if (this.#quarantined.has(device.id)) return;
    this.#quarantined.set(device.id, reason);
    this.#deps.log.error({ gpu: device.id, index: device.index, reason }, `${gpuLabel(device)} is out of use: ${reason}`);
    this.#events.quarantined();
  }
}
