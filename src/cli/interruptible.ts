import { GatewayError } from '../core/errors.ts';
import { exitCode, type ExitCode } from './exit-code.ts';

/** Runs a command that can take long with a signal that Ctrl-C and SIGTERM abort: it ends what it started, and with their exit code. */
export async function interruptible(work: (signal: AbortSignal) => Promise<ExitCode>): Promise<ExitCode> {
  const stop = new AbortController();
  let code: ExitCode = exitCode.ok;
  const onSignal = (signal: NodeJS.Signals): void => {
    code = signal === 'SIGINT' ? exitCode.interrupted : exitCode.terminated;
    stop.abort(new GatewayError('shutting_down', `${signal} asked to stop`));
  };
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, onSignal);
  try {
    return await work(stop.signal);
  } catch (error) {
    if (error === stop.signal.reason) return code;
    throw error;
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, onSignal);
  }
}

/** As `interruptible`, for what has no end of its own: Ctrl-C is how one leaves it, and no failure. */
export async function untilLeft(work: (signal: AbortSignal) => Promise<ExitCode>): Promise<ExitCode> {
  const code = await interruptible(work);
  return code === exitCode.interrupted ? exitCode.ok : code;
}
