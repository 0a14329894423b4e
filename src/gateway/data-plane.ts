import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { extname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import type { Access } from '../core/access.ts';
import type { LoadBoard } from '../core/board.ts';
import { cannotListen, GatewayError } from '../core/errors.ts';
import { RateBoard } from '../core/rate-board.ts';
import type { AdapterDemand, GatewaySettings, ToControl, ToWorker } from '../core/messages.ts';
import type { AdapterName, ModelName } from '../core/ids.ts';
import type { RoutingTable } from '../core/table.ts';
import { nameSeparator } from './adapter-names.ts';
import { guessMemory } from './auth/guesses.ts';
import { Seats } from './auth/seats.ts';
import type { WorkerStart } from './worker.ts';

export interface DataPlaneOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The board's rows; more than one only where `canSharePort`. */
  readonly workers: number;
  /** `file:` URLs of the modules with engines from outside. */
  readonly plugins: readonly string[];
  readonly settings: GatewaySettings;
  readonly board: LoadBoard;
  /** What requests are routed by from the first one on. */
  readonly table: RoutingTable;
  readonly log: Logger;
  readonly workerLog: WorkerStart['log'];
  /** Called when every worker may have applied a newer table. */
  onApplied(): void;
  /** Called when a request waits for a model that has no replica. */
  onDemand(model: ModelName): void;
  onAdapterDemand(worker: number, demand: AdapterDemand): void;
  /** Called when a worker has died, with all who waited in it. */
  onWorkerGone(worker: number): void;
}

/** Whether several sockets of one process may listen on one port here, with the kernel spreading connections over them. */
export const canSharePort = process.platform === 'linux' || process.platform === 'freebsd';

/** Longest wait for a worker's counters: a scrape must not hang on a busy thread. */
const scrapeTimeoutMs = 2000;
/** Pause before a worker that died is replaced: one that dies at once must not take a core. */
const respawnDelayMs = 250;

/**
 * Three semi-spaces of 4 MiB. V8's own limit is four times that, and a worker that has had thousands of streams keeps it all; what a
 * request leaves is collected young either way. `main.ts` has the same size, with which workers begin.
 */
const maxYoungGenerationSizeMb = 12;

interface WorkerSeat {
  readonly index: number;
  thread: Worker;
  applied: number;
  drained: boolean;
}

/** The control plane's end of the data plane: starts the worker threads, gives them tables, adds up what they say. */
export class DataPlane {
  readonly #options: DataPlaneOptions;
  readonly #seats: WorkerSeat[] = [];
  readonly #scrapes = new Map<number, (metrics: unknown) => void>();
  #table: RoutingTable;
  #access: Access;
  readonly #adapterNames = new Map<ModelName, string>();
  readonly #rates: RateBoard;
  readonly #seating: Seats;
  readonly #guesses = guessMemory(randomUUID());
  #port = 0;
  #ending = false;
  #draining = false;
  #lastScrape = 0;

  private constructor(options: DataPlaneOptions) {
    this.#options = options;
    this.#table = options.table;
    this.#rates = RateBoard.create(options.workers);
    this.#seating = new Seats(this.#rates);
    this.#access = this.#seating.assign(options.settings.access);
  }

  /** Resolves when every worker listens. @throws GatewayError `port_in_use` */
  static async start(options: DataPlaneOptions): Promise<DataPlane> {
    const plane = new DataPlane(options);
    if (options.port !== 0) await proveFree(options.host, options.port);
    plane.#port = options.port;
    try {
      for (let index = 0; index < options.workers; index += 1) {
        // One after the other: with port 0 the first one finds the port that the others share.
        const { thread, port } = await plane.#spawn(index);
        plane.#port = port;
        const seat = { index, thread, applied: options.table.version, drained: false };
        plane.#seats.push(seat);
        plane.#watch(seat);
      }
    } catch (error) {
      await plane.terminate();
      throw error;
    }
    return plane;
  }

  get port(): number {
    return this.#port;
  }

  publish(table: RoutingTable): void {
    this.#table = table;
    this.#broadcast({ kind: 'table', table });
  }

  /** Who may use the API from now on; what was admitted goes on. */
  allow(access: Access): void {
    this.#access = this.#seating.assign(access);
    this.#broadcast({ kind: 'access', access: this.#access });
  }

  /** The lowest version that every live worker routes by. */
  appliedVersion(): number {
    return Math.min(...this.#seats.map((seat) => seat.applied));
  }

  /** prom-client's JSON of each worker that answered in time. */
  async scrape(): Promise<readonly unknown[]> {
    return Promise.all(this.#seats.map((seat) => this.#scrapeOne(seat)));
  }

  #scrapeOne(seat: WorkerSeat): Promise<unknown> {
    this.#lastScrape += 1;
    const id = this.#lastScrape;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const timer = setTimeout(() => {
      this.#options.log.warn({ worker: seat.index }, 'a worker did not answer a scrape in time');
      resolve([]);
    }, scrapeTimeoutMs);
    this.#scrapes.set(id, resolve);
    seat.thread.postMessage({ kind: 'scrape', id } satisfies ToWorker);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#scrapes.delete(id);
    });
  }

  /** Tells clients which adapters of a model there are. @param names sorted */
  showAdapters(model: ModelName, names: readonly AdapterName[]): void {
    const text = names.join(nameSeparator);
    if (text === '') this.#adapterNames.delete(model);
    else this.#adapterNames.set(model, text);
    this.#broadcast({ kind: 'adapters', model, names: text });
  }

  /** Answers all who wait for an adapter: it will not come. */
  refuse(model: ModelName, adapter: AdapterName, { code, message }: GatewayError): void {
    this.#broadcast({ kind: 'refuse', model, adapter, code, message });
  }

  /** Turns readiness off; requests are taken as before. */
  announceEnd(): void {
    this.#ending = true;
    this.#broadcast({ kind: 'announce-end' });
  }

  /** Stops accepting, lets requests end within `graceMs`, ends the rest with an error. Resolves when all workers are done. */
  async drain(graceMs: number): Promise<void> {
    this.#draining = true;
    const ended = this.#seats.map((seat) => (seat.drained ? Promise.resolve() : once(seat.thread, 'exit')));
    this.#broadcast({ kind: 'drain', graceMs });
    await Promise.all(ended);
  }

  /** Ends all workers at once, whatever they do. */
  async terminate(): Promise<void> {
    this.#draining = true;
    await Promise.all(this.#seats.map((seat) => seat.thread.terminate()));
  }

  #broadcast(message: ToWorker): void {
    for (const seat of this.#seats) seat.thread.postMessage(message);
  }

  async #spawn(index: number): Promise<{ thread: Worker; port: number }> {
    const { host, plugins, settings, board, workers, workerLog } = this.#options;
    const workerData: WorkerStart = {
      index,
      workers,
      slots: board.slots,
      board: board.buffer,
      table: this.#table,
      rates: this.#rates.buffer,
      guesses: this.#guesses,
      host,
      port: this.#port,
      reusePort: workers > 1,
      plugins,
      settings: { ...settings, access: this.#access },
      log: workerLog,
    };
    const thread = new Worker(new URL(`./worker${extname(import.meta.url)}`, import.meta.url), {
      workerData,
      name: `worker ${index}`,
      resourceLimits: { maxYoungGenerationSizeMb },
    });
    const [first] = (await once(thread, 'message')) as [ToControl];
    if (first.kind === 'listening') return { thread, port: first.port };
    await thread.terminate();
    throw first.kind === 'fatal'
      ? new GatewayError(first.code, first.message)
      : new GatewayError('internal_error', `worker ${index} began with '${first.kind}'`);
  }

  #watch(seat: WorkerSeat): void {
    const { log } = this.#options;
    seat.thread.on('message', (message: ToControl) => this.#receive(seat, message));
    seat.thread.on('error', (error) => log.fatal({ err: error, worker: seat.index }, 'a worker thread failed'));
    seat.thread.on('exit', () => {
      seat.drained = true;
      if (!this.#draining) void this.#replace(seat);
    });
  }

  /** A worker that died took its requests with it; its counters are forgotten and another takes its seat. */
  async #replace(seat: WorkerSeat): Promise<void> {
    const { board, log } = this.#options;
    board.clearWorker(seat.index);
    this.#rates.clearWorker(seat.index);
    this.#options.onWorkerGone(seat.index);
    await sleep(respawnDelayMs);
    if (this.#draining) return;
    try {
      const { thread } = await this.#spawn(seat.index);
      seat.thread = thread;
      seat.drained = false;
      this.#watch(seat);
      // They may have changed while it was started.
      thread.postMessage({ kind: 'access', access: this.#access } satisfies ToWorker);
      for (const [model, names] of this.#adapterNames) thread.postMessage({ kind: 'adapters', model, names } satisfies ToWorker);
      if (this.#ending) thread.postMessage({ kind: 'announce-end' } satisfies ToWorker);
      if (this.#draining) await thread.terminate();
      else thread.postMessage({ kind: 'table', table: this.#table } satisfies ToWorker);
    } catch (error) {
      log.fatal({ err: error, worker: seat.index }, 'a worker thread could not be replaced; trying again');
      void this.#replace(seat);
    }
  }

  #receive(seat: WorkerSeat, message: ToControl): void {
    switch (message.kind) {
      case 'applied':
        seat.applied = message.version;
        this.#options.onApplied();
        return;
      case 'demand':
        this.#options.onDemand(message.model);
        return;
      case 'adapter-demand':
        this.#options.onAdapterDemand(seat.index, message);
        return;
      case 'metrics':
        this.#scrapes.get(message.id)?.(message.metrics);
        return;
      case 'fatal':
        this.#options.log.fatal({ worker: seat.index, code: message.code }, message.message);
        return;
      case 'listening':
      case 'drained':
        return;
    }
  }
}

/** Binds the port for a moment without sharing it: the workers' sockets share theirs, and would join a stranger's. */
async function proveFree(host: string, port: number): Promise<void> {
  const probe = createServer();
  try {
    probe.listen({ host, port, exclusive: true });
    await once(probe, 'listening');
  } catch (error) {
    throw cannotListen(error, host, port, 'gateway.listen.port');
  }
  const closed = once(probe, 'close');
  probe.close();
  await closed;
}
