import type pino from 'pino';
import type { Clock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import { isAccelerator } from './accelerator.ts';
import { gpuLabel } from './devices.ts';
import type { GpuDevice, GpuList, GpuProbe } from './devices.ts';
import { absentFrom, notListed, surelyLost } from './loss.ts';
import { place } from './place.ts';
import type { GpuHold, GpuPool, GpuRequest } from './place.ts';
import { gpuPool, lostAmong } from './pool.ts';
import type { GpuSettings } from './pool.ts';
import { gpuEnvironment } from './visible.ts';

export interface GpuLedgerDeps {
  readonly clock: Clock;
  readonly log: pino.Logger;
  readonly probe: GpuProbe;
  /** The gateway's own environment: its masks bound what it may give. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Between two looks for lost GPUs while any is held, in milliseconds; 15 s when left out. */
  readonly lossPollMs?: number;
}

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

/** Why a request has not been granted yet. */
export interface GpuWait {
  readonly reason: string;
  /** Whether enough could come free. */
  readonly possible: boolean;
}

/** What `status` says of one GPU. */
export interface GpuReport {
  readonly id: string;
  readonly index: number;
  readonly name: string;
  readonly memoryBytes: number;
  readonly usedBytes: number | undefined;
  /** Replicas on it, those included that have ended and whose memory is not free yet. */
  readonly holders: readonly string[];
  /** Why it is given to nobody. */
  readonly quarantined: string | undefined;
}

/** What a plan for the GPUs starts from. */
export interface GpuSurvey {
  /** All there are, those included that may not be given. */
  readonly devices: readonly GpuDevice[];
  readonly pool: GpuPool;
  readonly holds: readonly GpuHold[];
  /** Why the GPUs, or some of them, could not be read. */
  readonly problem: string | undefined;
}

interface Hold extends GpuHold {
  /** Its run is over, its memory may not be. */
  leaving: boolean;
  readonly lose: (reason: string) => void;
}

interface Waiting {
  readonly request: GpuRequest;
  readonly grant: (devices: readonly GpuDevice[]) => void;
  readonly waits: (wait: GpuWait | undefined) => void;
  said: string;
}

/** How long a GPU is kept back for memory that does not come free: somebody else may be using it. */
const freeWithinMs = 30_000;
const lookMs = 250;
/** The driver's tool takes up to a second of a core on a machine with eight cards. */
const defaultLossPollMs = 15_000;
/** After an answer of the driver's tool that was of no use, while replicas wait for GPUs. */
const retryMs = 5_000;
/** What an idle card's reading may differ by from one time to the next; less than any process with a context on it takes. */
const toleranceBytes = 268_435_456;

/**
 * Who holds which GPU: the only place where GPUs are given out and taken back. Requests of one turn are decided together. A card that
 * the driver has lost is given to nobody until the gateway starts anew.
 */
export class GpuLedger {
  readonly #deps: GpuLedgerDeps;
  readonly #holds = new Set<Hold>();
  readonly #waiting = new Set<Waiting>();
  readonly #known = new Map<string, GpuDevice>();
  readonly #quarantined = new Map<string, string>();
  /** Memory others used when the card was given to its first holder, in bytes. */
  readonly #baseline = new Map<string, number>();
  readonly #closed = new AbortController();
  #settings: GpuSettings = { gpus: undefined, acceleratorMatch: 'warn' };
  #settling = false;
  #again = false;
  #cancelRetry: (() => void) | undefined;
  /** Set while any GPU is held. */
  #cancelLossPoll: (() => void) | undefined;
  #lastList: GpuList = { devices: [], lost: [] };
  /** What the last look for lost GPUs did not have. */
  #absent: ReadonlySet<string> = new Set();
  #listener: () => void = () => undefined;

  constructor(deps: GpuLedgerDeps) {
    this.#deps = deps;
  }

  /** Which GPUs may be given from now on; those that are held stay with their holders. */
  configure(settings: GpuSettings): void {
    this.#settings = settings;
    if (this.#waiting.size > 0) this.#settle();
  }

  /**
   * Resolves when the GPUs are the holder's; rejects with `signal.reason` if aborted first. `waits` is told, each time it changes, why it
   * has to wait; undefined: no longer. Nothing is probed for a request of 0 GPUs.
   */
  acquire(request: GpuRequest, waits: (wait: GpuWait | undefined) => void, signal: AbortSignal): Promise<GpuGrant> {
    if (request.gpus === 0) return Promise.resolve(this.#grant(request.holder, request.share, []));
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const onAbort = (): void => {
        this.#waiting.delete(waiting);
        reject(signal.reason as Error);
      };
      const grant = (devices: readonly GpuDevice[]): void => {
        signal.removeEventListener('abort', onAbort);
        waits(undefined);
        resolve(this.#give(request, devices));
      };
      const waiting: Waiting = { request, grant, waits, said: '' };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(waiting);
      this.#settle();
    });
  }

  /** Notes that a run which goes on from before holds these GPUs. To be called before anything is acquired. */
  keep(holder: string, ids: readonly string[], share: number): GpuGrant {
    return this.#grant(holder, share, ids);
  }

  /** Known GPUs in the order of their index; none before the first replica has asked for one. */
  status(): readonly GpuReport[] {
    const byDevice = Map.groupBy(this.#holds, ({ device }) => device);
    return [...this.#known.values()]
      .sort((a, b) => a.index - b.index)
      .map(({ id, index, name, memoryBytes, usedBytes }) => ({
        id,
        index,
        name,
        memoryBytes,
        usedBytes,
        holders: (byDevice.get(id) ?? []).map(({ holder }) => holder),
        quarantined: this.#quarantined.get(id),
      }));
  }

  /** Looks at the GPUs anew: what a config with these settings could give, and who holds what now. Nothing is given. */
  async survey(settings: GpuSettings): Promise<GpuSurvey> {
    const problem = await this.#refresh();
    return {
      devices: [...this.#known.values()],
      pool: this.#pool(settings),
      holds: [...this.#holds].filter(({ leaving }) => !leaving),
      problem,
    };
  }

  /** Calls `listener` whenever all requests have been decided, and when a GPU is quarantined. */
  listen(listener: () => void): void {
    this.#listener = listener;
  }

  /** Whether GPUs are about to come free, or requests have yet to be decided. */
  get unsettled(): boolean {
    return this.#settling || [...this.#holds].some(({ leaving }) => leaving);
  }

  /** Ends all waiting for memory. */
  close(): void {
    this.#cancelRetry?.();
    this.#cancelLossPoll?.();
    this.#closed.abort(new Error('the gateway stops'));
  }

  #settle(): void {
    this.#again = true;
    if (this.#settling) return;
    this.#settling = true;
    this.#settleAll().catch((thrown: unknown) => this.#defect(thrown));
  }

  #defect(thrown: unknown): void {
    if (!this.#closed.signal.aborted) this.#deps.log.error({ err: thrown }, 'defect in the GPU ledger');
  }

  async #settleAll(): Promise<void> {
    try {
      while (this.#again && !this.#closed.signal.aborted) {
        // Whoever asks while the driver answers is decided with the others.
        const unread = await this.#refresh();
        this.#again = false;
        this.#placeAll(unread);
      }
    } finally {
      this.#settling = false;
      if (!this.#closed.signal.aborted) this.#listener();
    }
  }

  /** Reads the devices anew; undefined, or why that was not possible: then what was known stands. */
  async #refresh(): Promise<string | undefined> {
    try {
      this.#learn(await this.#deps.probe.list(this.#closed.signal));
      return undefined;
    } catch (thrown) {
      this.#closed.signal.throwIfAborted();
      this.#deps.log.warn({ err: thrown }, 'the GPUs of this machine could not be read');
      return messageOf(thrown);
    }
  }

  #learn(list: GpuList): void {
    this.#lastList = list;
    for (const device of list.devices) this.#known.set(device.id, device);
    const known = [...this.#known.values()];
    const named = lostAmong(known, list.lost);
    const absent = absentFrom(list, known);
    for (const device of known) {
      const reason = named.get(device.id) ?? (absent.has(device.id) ? notListed : undefined);
      if (reason !== undefined) this.#quarantine(device, reason);
    }
    this.#tellHolders(named);
  }

  #tellHolders(lost: ReadonlyMap<string, string>): void {
    for (const hold of this.#holds) {
      const reason = lost.get(hold.device);
      if (reason === undefined || hold.leaving) continue;
      const device = this.#known.get(hold.device);
      hold.lose(`${device === undefined ? hold.device : gpuLabel(device)}: ${reason}`);
    }
  }

  #pollForLoss(): void {
    this.#cancelLossPoll ??= this.#deps.clock.after(this.#deps.lossPollMs ?? defaultLossPollMs, () => {
      this.#lookForLoss().catch((thrown: unknown) => this.#defect(thrown));
    });
  }

  async #lookForLoss(): Promise<void> {
    if ([...this.#holds].some(({ leaving }) => !leaving) && (await this.#refresh()) === undefined) {
      const known = [...this.#known.values()];
      this.#tellHolders(surelyLost(this.#lastList, known, this.#absent));
      this.#absent = absentFrom(this.#lastList, known);
    }
    this.#cancelLossPoll = undefined;
    if (this.#holds.size > 0 && !this.#closed.signal.aborted) this.#pollForLoss();
  }

  #quarantine(device: GpuDevice, reason: string): void {
    if (this.#quarantined.has(device.id)) return;
    this.#quarantined.set(device.id, reason);
    this.#deps.log.error({ gpu: device.id, index: device.index, reason }, `${gpuLabel(device)} is out of use: ${reason}`);
    this.#listener();
  }

  #pool(settings: GpuSettings): GpuPool {
    return gpuPool([...this.#known.values()], this.#quarantined, settings, this.#deps.env);
  }

  #placeAll(unread: string | undefined): void {
    this.#cancelRetry?.();
    const byRequest = new Map([...this.#waiting].map((waiting) => [waiting.request, waiting]));
    // Without an answer nothing is given: a card that is gone could be among those known.
    const placements = unread === undefined ? place([...byRequest.keys()], this.#pool(this.#settings), [...this.#holds]) : [];
    for (const placement of placements) {
      const waiting = byRequest.get(placement.request);
      if (waiting === undefined) continue;
      if (placement.kind === 'placed') {
        this.#waiting.delete(waiting);
        waiting.grant(placement.devices);
      } else this.#say(waiting, placement);
    }
    if (unread === undefined) return;
    for (const waiting of this.#waiting) this.#say(waiting, { reason: `waiting for a GPU: ${unread}`, possible: false });
    if (this.#waiting.size > 0) this.#cancelRetry = this.#deps.clock.after(retryMs, () => this.#settle());
  }

  #say(waiting: Waiting, { reason, possible }: GpuWait): void {
    if (waiting.said === reason) return;
    waiting.said = reason;
    const fields = { replica: waiting.request.holder, gpus: waiting.request.gpus };
    if (possible) this.#deps.log.info(fields, reason);
    else this.#deps.log.warn(fields, `${waiting.request.holder} cannot start: ${reason}`);
    waiting.waits({ reason, possible });
  }

  #give(request: GpuRequest, devices: readonly GpuDevice[]): GpuGrant {
    const type = request.acceleratorType;
    const strange = type === undefined ? undefined : devices.find((device) => !isAccelerator(device, type));
    if (strange !== undefined)
      this.#deps.log.warn({ replica: request.holder }, `configured for ${type}, runs on ${gpuLabel(strange)}, ${strange.name}`);
    const held = new Set([...this.#holds].map(({ device }) => device));
    for (const { id, usedBytes } of devices) if (!held.has(id)) this.#baseline.set(id, usedBytes ?? 0);
    const ids = devices.map(({ id }) => id);
    return this.#grant(request.holder, request.share, ids, devices);
  }

  #grant(holder: string, share: number, ids: readonly string[], devices: readonly GpuDevice[] = []): GpuGrant {
    const lost = Promise.withResolvers<string>();
    const holds = ids.map((device): Hold => ({ holder, device, share, leaving: false, lose: lost.resolve }));
    for (const hold of holds) this.#holds.add(hold);
    if (holds.length > 0) this.#pollForLoss();
    const label = (id: string): string => {
      const device = this.#known.get(id);
      return device === undefined || device.partition ? id : String(device.index);
    };
    return {
      ids,
      get labels() {
        return ids.map(label);
      },
      env: gpuEnvironment(devices),
      lost: lost.promise,
      release: () => {
        for (const hold of holds) {
          if (hold.leaving) continue;
          hold.leaving = true;
          this.#takeBack(hold).catch((thrown: unknown) => this.#defect(thrown));
        }
      },
    };
  }

  async #takeBack(hold: Hold): Promise<void> {
    const deadline = this.#deps.clock.now() + freeWithinMs;
    while (!(await this.#isFree(hold))) {
      if (this.#deps.clock.now() >= deadline) {
        const device = this.#known.get(hold.device);
        const message = `memory of ${device === undefined ? hold.device : gpuLabel(device)} is still in use ${freeWithinMs / 1000} s after ${hold.holder} ended; the GPU is given on`;
        this.#deps.log.warn({ gpu: hold.device, usedBytes: device?.usedBytes }, message);
        break;
      }
      await this.#deps.clock.sleep(lookMs, this.#closed.signal);
    }
    this.#holds.delete(hold);
    if (this.#waiting.size > 0) this.#settle();
  }

  /** Whether what is in use on the card is no more than others may use: strangers as before, and other holders their shares. */
  async #isFree(hold: Hold): Promise<boolean> {
    if ((await this.#refresh()) !== undefined) return false;
    const device = this.#known.get(hold.device);
    if (device?.usedBytes === undefined || this.#quarantined.has(hold.device)) return true;
    const others = [...this.#holds].filter((other) => other.device === hold.device && other !== hold && !other.leaving);
    const allowed = others.reduce((sum, { share }) => sum + share * device.memoryBytes, this.#baseline.get(device.id) ?? 0);
    return device.usedBytes <= allowed + toleranceBytes;
  }
}
