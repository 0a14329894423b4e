import { constants } from 'node:os';

/** @type {readonly NodeJS.Signals[]} */
export const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Why an `interruptible` piece of work was aborted. */
export class Interrupted extends Error {
  /** @override */
  name = 'Interrupted';

  /** @param {NodeJS.Signals} signal */
  constructor(signal) {
    super(`interrupted by ${signal}`);
    /** What a shell reports for a process that this signal ended. */
    this.exitCode = exitCodeOf(signal);
  }
}

/**
 * @param {NodeJS.Signals} signal
 * @returns {number} what a shell reports for a process ended by it
 */
export function exitCodeOf(signal) {
  return 128 + constants.signals[signal];
}

/**
 * Runs `work` so that SIGINT, SIGTERM and SIGHUP abort it instead of ending the process under it; it can then clean up.
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} work
 * @returns {Promise<T>} rejects with `Interrupted` if a signal came, whatever the work made of it
 */
export async function interruptible(work) {
  const controller = new AbortController();
  /** @param {NodeJS.Signals} name */
  const interrupt = (name) => controller.abort(new Interrupted(name));
  for (const name of endingSignals) process.on(name, interrupt);
  try {
    return await work(controller.signal);
  } catch (thrown) {
    throw controller.signal.aborted ? controller.signal.reason : thrown;
  } finally {
    for (const name of endingSignals) process.off(name, interrupt);
  }
}
