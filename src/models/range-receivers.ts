import { extname } from 'node:path';
import { SHARE_ENV, Worker } from 'node:worker_threads';
import { GatewayError } from '../core/errors.ts';
import { ArtifactError } from './artifact-error.ts';
import type { Received } from './body-receiver.ts';
import { RangeReceiver } from './range-receiver.ts';
import type { RangeJob } from './range-receiver.ts';
import type { RangeWatch } from './range-sink.ts';
import type { FromReceiver, JobEnd, ThrownInThread, ToReceiver } from './receiver-message.ts';

/** One that jobs can be given to. */
interface Receiver {
  /** Jobs that it has. */
  readonly busy: number;
  /** As `RangeReceivers.receive()`. */
  receive(job: RangeJob, watch: RangeWatch, signal: AbortSignal): Promise<Received | undefined>;
  close(): Promise<void>;
}

/**
 * Receive bodies into files, each in a thread that waits for the disk: what serves must not wait, and one that hands each block to others for
 * writing is slower than a network of some gigabits. They begin with the first bodies.
 */
export class RangeReceivers {
  readonly #count: number;
  readonly #here: boolean;
  readonly #receivers: Receiver[] = [];
  /** By the descriptor of its file, who had the first job of it. */
  readonly #homes = new Map<number, Receiver>();

  /** @param count at least 1 @param here whether one of them is the thread that this runs in */
  constructor(count: number, here: boolean) {
    this.#count = count;
    this.#here = here;
  }

  /**
   * Settles when nothing touches the file any more, also when the signal ends it.
   * @returns undefined: the reply is not plain, and nothing was taken of it
   * @throws as `RangeReceiver.receive()`; GatewayError `internal_error` where the thread has died
   */
  async receive(job: RangeJob, watch: RangeWatch, signal: AbortSignal): Promise<Received | undefined> {
    signal.throwIfAborted();
    return await this.#receiverOf(job).receive(job, watch, signal);
  }

  /** Once all have ended. */
  async close(): Promise<void> {
    await Promise.all(this.#receivers.map(async (receiver) => await receiver.close()));
  }

  /** The kernel lets one write at a time into a file, and others wait: who has one goes on with it, unless another has less to do. */
  #receiverOf({ descriptor }: RangeJob): Receiver {
    const least = this.#leastBusy();
    const home = this.#homes.get(descriptor) ?? least;
    this.#homes.set(descriptor, home);
    return home.busy > least.busy + 1 ? least : home;
  }

  #leastBusy(): Receiver {
    if (this.#receivers.length < this.#count) {
      const receiver = this.#here && this.#receivers.length === 0 ? new Here() : new Elsewhere();
      this.#receivers.push(receiver);
      return receiver;
    }
    return this.#receivers.reduce((least, receiver) => (receiver.busy < least.busy ? receiver : least));
  }
}

class Here implements Receiver {
  busy = 0;
  readonly #receiver = new RangeReceiver();

  async receive(job: RangeJob, watch: RangeWatch, signal: AbortSignal): Promise<Received | undefined> {
    this.busy += 1;
    try {
      return await this.#receiver.receive(job, watch, signal);
    } finally {
      this.busy -= 1;
    }
  }

  async close(): Promise<void> {
    this.#receiver.close();
  }
}

/** Of a thread's young memory: its garbage is heads and messages. */
const youngMb = 1;

interface Running {
  readonly watch: RangeWatch;
  readonly settled: PromiseWithResolvers<Received | undefined>;
}

class Elsewhere implements Receiver {
  readonly #thread: Worker;
  readonly #running = new Map<number, Running>();
  #lastId = 0;
  #died: GatewayError | undefined;

  constructor() {
    this.#thread = new Worker(new URL(`./receiver-thread${extname(import.meta.url)}`, import.meta.url), {
      name: 'fetch',
      env: SHARE_ENV,
      resourceLimits: { maxYoungGenerationSizeMb: youngMb },
    });
    this.#thread.on('message', (message: FromReceiver) => this.#hear(message));
    let why: unknown;
    this.#thread.on('error', (error) => (why = error));
    this.#thread.on('exit', () => {
      this.#died = new GatewayError('internal_error', 'A thread that received a model has died.', { cause: why });
      for (const { settled } of this.#running.values()) settled.reject(this.#died);
    });
  }

  get busy(): number {
    return this.#running.size;
  }

  async receive(job: RangeJob, watch: RangeWatch, signal: AbortSignal): Promise<Received | undefined> {
    if (this.#died !== undefined) throw this.#died;
    this.#lastId += 1;
    const id = this.#lastId;
    const settled = Promise.withResolvers<Received | undefined>();
    this.#running.set(id, { watch, settled });
    const post = (message: ToReceiver): void => this.#thread.postMessage(message);
    const leave = (): void => post({ id, kind: 'leave' });
    signal.addEventListener('abort', leave, { once: true });
    post({ id, kind: 'receive', job });
    try {
      return await settled.promise;
    } catch (thrown) {
      signal.throwIfAborted();
      throw thrown;
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  #hear(message: FromReceiver): void {
    const { id, kind } = message;
    const job = this.#running.get(id);
    if (job === undefined) return;
    if (kind === 'heard') job.watch.heard(message.bytes);
    else if (kind === 'written') job.watch.written(message.segment, message.bytes);
    else {
      this.#running.delete(id);
      settle(job, message.end);
    }
  }

  async close(): Promise<void> {
    await this.#thread.terminate();
  }
}

function settle({ settled }: Running, end: JobEnd): void {
  if ('received' in end) settled.resolve(end.received);
  else settled.reject(thrownHere(end.thrown));
}

function thrownHere({ message, code, problem }: ThrownInThread): Error {
  if (problem !== undefined) return new ArtifactError(problem, message);
  return code === undefined ? new Error(message) : new GatewayError(code, message);
}
