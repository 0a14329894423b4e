import { chatBody, streamBody } from './bodies.ts';
import { Connection, postRequest } from './connection.ts';
import type { FromGenerator, ToGenerator } from './messages.ts';

/** A connection with one request at a time on it. */
class Asking {
  readonly #connection: Connection;
  readonly #request: Buffer;
  #settle: { resolve(status: number): void; reject(error: Error): void } | undefined;
  #lost: string | undefined;
  #firstAt: number | undefined;

  constructor(port: number, request: Buffer) {
    this.#request = request;
    this.#connection = new Connection(port, {
      body: () => {
        this.#firstAt ??= performance.now();
      },
      replied: (status) => this.#settle?.resolve(status),
      lost: (reason) => {
        this.#lost = reason;
        this.#settle?.reject(new Error(reason));
      },
    });
  }

  /** Milliseconds from the write to the first byte of the reply's body, and to its last. @throws Error when the reply is not a 200. */
  async ask(): Promise<{ readonly first: number; readonly last: number }> {
    if (this.#lost !== undefined) throw new Error(this.#lost);
    this.#firstAt = undefined;
    const started = performance.now();
    const status = await new Promise<number>((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#connection.send(this.#request);
    });
    const last = performance.now() - started;
    if (status !== 200) throw new Error(`status ${status}`);
    return { first: (this.#firstAt ?? Number.NaN) - started, last };
  }

  close(): void {
    this.#connection.close();
  }
}

/** Asks each port in turn, so that whatever else the machine does meets all of them alike. */
async function inTurn(ports: readonly number[], body: Buffer, count: number, what: 'first' | 'last'): Promise<FromGenerator> {
  const targets = ports.map((port) => ({
    asking: new Asking(port, postRequest(port, '/v1/chat/completions', body)),
    ms: [] as number[],
  }));
  const failures: string[] = [];
  try {
    for (let done = 0; done < count; done += 1) {
      for (const target of targets) target.ms.push((await target.asking.ask())[what]);
    }
  } catch (error) {
    failures.push(error instanceof Error ? error.message : String(error));
  } finally {
    for (const target of targets) target.asking.close();
  }
  return { kind: 'latencies', ms: targets.map((target) => target.ms), failures };
}

export function latencies({ ports, body, count }: Extract<ToGenerator, { kind: 'latency' }>): Promise<FromGenerator> {
  return inTurn(ports, chatBody(body), count, 'last');
}

/** Of streams of one chunk, which the upstream sends at once. */
export function firstEvents({ ports, count }: Extract<ToGenerator, { kind: 'first-events' }>): Promise<FromGenerator> {
  return inTurn(ports, streamBody({ chunks: 1, intervalMs: 1 }), count, 'first');
}
