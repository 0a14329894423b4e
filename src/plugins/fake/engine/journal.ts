import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const kept = 64;
const keptBytes = 4096;

/** A generation request as it arrived. */
export interface SeenRequest {
  readonly path: string;
  /** Of the body's bytes, in hex. */
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Its beginning. */
  readonly body: string;
  readonly headers: IncomingMessage['headers'];
}

/** Counts of everything since the start, and the last requests. */
export class Journal {
  requests = 0;
  completed = 0;
  /** Generations that ended because the client left. */
  aborted = 0;
  tokens = 0;
  /** Of the engine's loop, which turns while any request runs and the engine does not hang. */
  steps = 0;
  probes = 0;
  sleeps = 0;
  wakes = 0;
  /** Generation requests that came while it slept. */
  disturbed = 0;
  #seen: SeenRequest[] = [];

  saw(request: IncomingMessage, path: string, body: Buffer): void {
    this.requests += 1;
    const sha256 = createHash('sha256').update(body).digest('hex');
    this.#seen = [
      ...this.#seen.slice(1 - kept),
      { path, sha256, sizeBytes: body.length, body: body.toString('utf8', 0, keptBytes), headers: request.headers },
    ];
  }

  /** The last 64, oldest first. */
  get seen(): readonly SeenRequest[] {
    return this.#seen;
  }
}
