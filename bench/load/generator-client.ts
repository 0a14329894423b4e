import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Launched } from '../systems/process.ts';
import type { FromGenerator, ToGenerator } from './messages.ts';

const entry = fileURLToPath(new URL('generator.ts', import.meta.url));

/** The load generator's process, which takes one order at a time. */
export class GeneratorClient {
  readonly #launched: Launched;
  readonly #signal: AbortSignal;

  static async start(signal: AbortSignal): Promise<GeneratorClient> {
    return new GeneratorClient(await Launched.start('load generator', [process.execPath, entry], { ipc: true }), signal);
  }

  private constructor(launched: Launched, signal: AbortSignal) {
    this.#launched = launched;
    this.#signal = signal;
  }

  /** @throws Error when a request failed, the generator ended, or no answer came within 60 s; `signal.reason` when aborted. */
  async ask<Kind extends FromGenerator['kind']>(order: ToGenerator, kind: Kind): Promise<Extract<FromGenerator, { kind: Kind }>> {
    const { child, exited } = this.#launched;
    const over = new AbortController();
    const limit = AbortSignal.any([this.#signal, over.signal, AbortSignal.timeout(60_000)]);
    const ended = exited.then(() => over.abort(new Error(`the load generator ended; its last output:\n${this.#launched.output}`)));
    const answered = once(child, 'message', { signal: limit });
    child.send(order);
    const [answer] = (await Promise.race([answered, ended.then(() => [])]).catch(() => {
      throw limit.reason;
    })) as [FromGenerator?];
    if (answer === undefined) throw over.signal.reason;
    if (answer.kind !== kind) throw new Error(`the load generator answered ${answer.kind} to ${order.kind}, expected ${kind}`);
    const [first] = answer.failures;
    if (first !== undefined) throw new Error(`${answer.failures.length} requests failed in ${JSON.stringify(order)}; the first: ${first}`);
    return answer as Extract<FromGenerator, { kind: Kind }>;
  }

  stop(): Promise<void> {
    return this.#launched.stop(2000);
  }
}
