import { type Command, InvalidArgumentError } from 'commander';
import type { StatusReply, StopReply } from '../admin/api.ts';
import { systemClock } from '../core/clock.ts';
import { GatewayError } from '../core/errors.ts';
import { requestsOf } from '../supervisor/report.ts';
import { isOwner } from '../supervisor/state-dir.ts';
import { adminVerb, askAdmin, stateDirOf, type Where } from './admin-client.ts';
import { exitCode, type ExitCode } from './exit-code.ts';
import { interruptible } from './interruptible.ts';
import { print, type Run } from './verb.ts';

interface StopOptions extends Where {
  readonly drain?: number;
  readonly now?: boolean;
}

const pollMs = 100;

const help = `
Returns once the gateway is gone, and its engines with it. Meanwhile says how many requests it waits for. Ctrl-C leaves: the gateway goes
on stopping. Once it stops, --drain has no effect any more; --now still has.

Exit codes: 0 gone, 1 no gateway runs, 2 usage, 130 left by Ctrl-C before it was gone.`;

/** For commander. @throws InvalidArgumentError */
function seconds(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new InvalidArgumentError('expected a number of seconds.');
  return Number(text);
}

/** Adds `gateway stop`. */
export function addStop(program: Command, run: Run): void {
  adminVerb(program, 'stop', 'stop the running gateway, after its requests have ended, and wait until it is gone', '--drain 30')
    .option('--drain <seconds>', "how long requests may take to end (default: the config's timeouts.drain_s)", seconds)
    .option('--now', 'cut requests off, and kill the engines')
    .addHelpText('after', help)
    .action((options: StopOptions) => run(() => interruptible((signal) => stop(options, signal))));
}

async function stop(options: StopOptions, signal: AbortSignal): Promise<ExitCode> {
  const { drain, now = false } = options;
  if (now && drain !== undefined) throw new GatewayError('usage_invalid', '--now and --drain exclude each other');
  const stateDir = await stateDirOf(options);
  const body = now ? { now } : { ...(drain !== undefined && { drain_s: drain }) };
  const reply = await askAdmin<StopReply>(stateDir, { method: 'POST', path: '/api/stop', body, signal });
  let told = '';
  while (isOwner(stateDir, reply.pid)) {
    const news = waitsFor(await statusOf(stateDir, signal));
    if (options.quiet !== true && news !== undefined && news !== told) process.stderr.write(`${news}\n`);
    told = news ?? told;
    await systemClock.sleep(pollMs, signal);
  }
  print(options, reply, ({ pid }) => `The gateway with pid ${pid} has stopped.\n`);
  return exitCode.ok;
}

/** Undefined once it answers no more, shortly before its end. */
async function statusOf(stateDir: string, signal: AbortSignal): Promise<StatusReply | undefined> {
  try {
    return await askAdmin<StatusReply>(stateDir, { method: 'GET', path: '/api/status', signal });
  } catch {
    signal.throwIfAborted();
    // Whatever it answers now, or does not: its end is what is waited for.
    return undefined;
  }
}

/** What a gateway that stops waits for, in words; undefined when that is not known. */
export function waitsFor(status: Pick<StatusReply, 'models'> | undefined): string | undefined {
  if (status === undefined) return undefined;
  const replicas = status.models.flatMap((model) => model.replicas);
  const requests = requestsOf(status.models);
  if (requests > 0) return `Waiting for ${requests} request${requests === 1 ? '' : 's'} to end.`;
  return replicas.length > 0 ? `Waiting for ${replicas.length} engine${replicas.length === 1 ? '' : 's'} to end.` : undefined;
}
