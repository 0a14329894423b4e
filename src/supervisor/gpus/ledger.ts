import type pino from 'pino';
import type { Clock } from '../../core/clock.ts';
import { isAccelerator } from './accelerator.ts';
import { gpuLabel } from './devices.ts';
import type { GpuDevice, GpuProbe } from './devices.ts';
import { GpuHolds } from './holds.ts';
import type { GpuGrant } from './holds.ts';
import { GpuInventory } from './inventory.ts';
import { place } from './place.ts';
import type { GpuHold, GpuPool, GpuRequest } from './place.ts';
import { gpuPool } from './pool.ts';
import type { GpuSettings } from './pool.ts';

export interface GpuLedgerDeps {
  readonly clock: Clock;
  readonly log: pino.Logger;
  readonly probe: GpuProbe;
  /** The gateway's own environment: its masks bound what it may give. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Between two looks for lost GPUs while any is held, in milliseconds; 15 s when left out. */
  readonly lossPollMs?: number;
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
  /** Of the card. */
  readonly index: number;
  /** A MIG instance, of which several have their card's index. */
  readonly partition: boolean;
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

interface Waiting {
  readonly request: GpuRequest;
  readonly grant: (devices: readonly GpuDevice[]) => void;
  readonly waits: (wait: GpuWait | undefined) => void;
  said: string;
}

/** The driver's tool takes up to a second of a core on a machine with eight cards. */
const defaultLossPollMs = 15_000;
/** After an answer of the driver's tool that was of no use, while replicas wait for GPUs. */
const retryMs = 5_000;
/** Gives GPUs to those who ask: the only place where that happens. Requests of one turn are decided together. */
export class GpuLedger {
  readonly #deps: GpuLedgerDeps;
  readonly #inventory: GpuInventory;
  readonly #holds: GpuHolds;
  readonly #waiting = new Set<Waiting>();
  readonly #closed = new AbortController();
  #settings: GpuSettings = { gpus: undefined, acceleratorMatch: 'warn' };
  #settling = false;
  #again = false;
  #next: string | undefined;
  #cancelRetry: (() => void) | undefined;
  /** Set while any GPU is held. */
  #cancelLossPoll: (() => void) | undefined;
  #listener: () => void = () => undefined;

  constructor(deps: GpuLedgerDeps) {
    this.#deps = deps;
    const { clock, log } = deps;
    this.#inventory = new GpuInventory(deps, {
      quarantined: () => this.#listener(),
      lost: (lost) => this.#holds.lose(lost),
    });
    this.#holds = new GpuHolds({
      clock,
      log,
      inventory: this.#inventory,
      closed: this.#closed.signal,
      freed: () => {
        if (this.#waiting.size > 0) this.#settle();
      },
      defect: (thrown) => this.#defect(thrown),
    });
  }

  /** Which GPUs may be given from now on; those that are held stay with their holders. */
  configure(settings: GpuSettings): void {
    this.#settings = settings;
    if (this.#waiting.size > 0) this.#settle();
  }

  /** What comes free is kept for this model until it has what it waits for, and given to those who wait too if nobody is next. */
  keepFor(model: string | undefined): void {
    if (model === this.#next) return;
    this.#next = model;
    if (this.#waiting.size > 0) this.#settle();
  }

  /** Whether `request` would be granted now if `without` held nothing, by what was last read of the GPUs. */
  fits(request: GpuRequest, without: ReadonlySet<string>): boolean {
    const holds = this.#holds.all().filter(({ holder }) => !without.has(holder));
    return place([request], this.#pool(this.#settings), holds)[0]?.kind === 'placed';
  }

  /**
   * Resolves when the GPUs are the holder's; rejects with `signal.reason` if aborted first. `waits` is told, each time it changes, why it
   * has to wait; undefined: no longer. Nothing is probed for a request of 0 GPUs.
   */
  acquire(request: GpuRequest, waits: (wait: GpuWait | undefined) => void, signal: AbortSignal): Promise<GpuGrant> {
    if (request.gpus === 0) return Promise.resolve(this.#holds.keep(request.holder, request.share, []));
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
    const grant = this.#holds.keep(holder, share, ids);
    if (ids.length === 0) return grant;
    this.#pollForLoss();
    // Nobody asks for GPUs where all engines were taken over; `status()` is to show who holds them all the same.
    if (ids.some((id) => this.#inventory.get(id) === undefined)) this.#settle();
    return grant;
  }

  /** Known GPUs in the order of their index; none before the first replica has asked for one, or held one from before. */
  status(): readonly GpuReport[] {
    const byDevice = Map.groupBy(this.#holds.all(), ({ device }) => device);
    return this.#inventory
      .all()
      .toSorted((a, b) => a.index - b.index)
      .map(({ id, index, partition, name, memoryBytes, usedBytes }) => ({
        id,
        index,
        partition,
        name,
        memoryBytes,
        usedBytes,
        holders: (byDevice.get(id) ?? []).map(({ holder }) => holder),
        quarantined: this.#inventory.quarantined.get(id),
      }));
  }

  /** Looks at the GPUs anew: what a config with these settings could give, and who holds what now. Nothing is given. */
  async survey(settings: GpuSettings): Promise<GpuSurvey> {
    const problem = await this.#inventory.refresh(this.#closed.signal);
    return {
      devices: this.#inventory.all(),
      pool: this.#pool(settings),
      holds: this.#holds.all().filter(({ leaving }) => !leaving),
      problem,
    };
  }

  /** Calls `listener` whenever all requests have been decided, and when a GPU is quarantined. */
  listen(listener: () => void): void {
    this.#listener = listener;
  }

  /** Whether GPUs are about to come free, or requests have yet to be decided. */
  get unsettled(): boolean {
    return this.#settling || this.#holds.all().some(({ leaving }) => leaving);
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
        const unread = await this.#inventory.refresh(this.#closed.signal);
        this.#again = false;
        this.#placeAll(unread);
      }
    } finally {
      this.#settling = false;
      if (!this.#closed.signal.aborted) this.#listener();
    }
  }

  #pollForLoss(): void {
    this.#cancelLossPoll ??= this.#deps.clock.after(this.#deps.lossPollMs ?? defaultLossPollMs, () => {
      this.#lookForLoss().catch((thrown: unknown) => this.#defect(thrown));
    });
  }

  async #lookForLoss(): Promise<void> {
    if (this.#holds.all().some(({ leaving }) => !leaving)) await this.#inventory.lookForLoss(this.#closed.signal);
    this.#cancelLossPoll = undefined;
    if (this.#holds.all().length > 0 && !this.#closed.signal.aborted) this.#pollForLoss();
  }

  #pool(settings: GpuSettings): GpuPool {
    return gpuPool(this.#inventory.all(), this.#inventory.quarantined, settings, this.#deps.env);
  }

  #placeAll(unread: string | undefined): void {
    this.#cancelRetry?.();
    const byRequest = new Map([...this.#waiting].map((waiting) => [waiting.request, waiting]));
    // Without an answer nothing is given: a card that is gone could be among those known.
    const placements = unread === undefined ? place([...byRequest.keys()], this.#pool(this.#settings), this.#holds.all(), this.#next) : [];
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
    this.#pollForLoss();
    return this.#holds.give(request.holder, request.share, devices);
  }
}
