import { chatBody } from './bodies.ts';
import { Connection, postRequest } from './connection.ts';
import type { FromGenerator, ToGenerator } from './messages.ts';

/** A connection with one request at a time on it. */
class Asking {
  readonly #connection: Connection;
  readonly #request: Buffer;
  #settle: { resolve(status: number): void; reject(error: Error): void } | undefined;
  #lost: string | undefined;

  constructor(port: number, request: Buffer) {
    this.#request = request;
    this.#connection = new Connection(port, {
      replied: (status) => this.#settle?.resolve(status),
      lost: (reason) => {
        this.#lost = reason;
        this.#settle?.reject(new Error(reason));
      },
    });
  }

  /** Milliseconds from the write to the last byte of the reply. @throws Error when the reply is not a 200. */
  async ask(): Promise<number> {
    if (this.#lost !== undefined) throw new Error(this.#lost);
    const started = performance.now();
    const status = await new Promise<number>((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#connection.send(this.#request);
    });
    const ms = performance.now() - started;
    if (status !== 200) throw new Error(`status ${status}`);
    return ms;
  }

  close(): void {
    this.#connection.close();
  }
}

/** Asks each port in turn, so that whatever else the machine does meets all of them alike. */
export async function latencies(order: Extract<ToGenerator, { kind: 'latency' }>): Promise<FromGenerator> {
  const body = chatBody(order.body);
  const targets = order.ports.map((port) => ({
    asking: new Asking(port, postRequest(port, '/v1/chat/completions', body)),
    ms: [] as number[],
  }));
  const failures: string[] = [];
  try {
    for (let count = 0; count < order.count; count += 1) {
      for (const target of targets) target.ms.push(await target.asking.ask());
    }
  } catch (error) {
    failures.push(error instanceof Error ? error.message : String(error));
  } finally {
    for (const target of targets) target.asking.close();
  }
  return { kind: 'latencies', ms: targets.map((target) => target.ms), failures };
}
