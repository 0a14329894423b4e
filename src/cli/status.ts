import type { Command } from 'commander';
import type { StatusReply } from '../admin/api.ts';
import { systemClock } from '../core/clock.ts';
import { adminVerb, askAdmin, stateDirOf, type Where } from './admin-client.ts';
import { exitCode, type ExitCode } from './exit-code.ts';
import { untilLeft } from './interruptible.ts';
import { enterView, leaveView, page, sizeOf } from './live-view.ts';
import { Output } from './output.ts';
import { statusTable } from './status-table.ts';
import { why } from './status-why.ts';
import { print, type Run } from './verb.ts';

interface StatusOptions extends Where {
  readonly watch?: boolean;
  readonly why?: boolean;
}

const everyMs = 1000;

const help = `  gateway status --watch
  gateway status my-model --why
  gateway status --watch --json | jq '.models[].waiting'

LAST ERROR is the code of why a replica's last run failed; the message stands below the table. Columns that a terminal has no room for
are left out. --watch looks every second until Ctrl-C, which is no failure: on a terminal the table stays in place, on a pipe each
follows the last after an empty line, and with --json each is a line.

Exit codes: 0 shown or left, 1 no gateway (any more), 2 usage.`;

/** Adds `gateway status`. */
export function addStatus(program: Command, run: Run): void {
  adminVerb(program, 'status', 'show the models and replicas of the running gateway')
    .argument('[model]', 'with --why: its id; all when left out')
    .option('-w, --watch', 'look again every second, until Ctrl-C')
    .option(
      '--why',
      'say why a model has as many replicas as it has: its load, every term of the formula, what holds it, the last decisions',
    )
    .addHelpText('after', help)
    .action((model: string | undefined, options: StatusOptions, command: Command) => {
      if (options.why === true && options.watch === true)
        command.error("error: options '--why' and '--watch' exclude each other", { exitCode: 2 });
      if (model !== undefined && options.why !== true) command.error('error: a model is for --why alone', { exitCode: 2 });
      if (options.why === true) return run(() => why(model, options));
      return run(() => (options.watch === true ? untilLeft((signal) => watch(options, signal)) : once(options)));
    });
}

const look = async (where: Where): Promise<StatusReply> => askAdmin(await stateDirOf(where), { method: 'GET', path: '/api/status' });

/** A pipe is as wide as a line. */
const widthOf = (out: NodeJS.WriteStream): number => (out.isTTY ? sizeOf(out).columns : Infinity);

async function once(options: StatusOptions): Promise<ExitCode> {
  print(options, await look(options), (status) => statusTable(status, widthOf(process.stdout)));
  return exitCode.ok;
}

async function watch(options: StatusOptions, signal: AbortSignal): Promise<ExitCode> {
  const { stdout } = process;
  using out = new Output(stdout);
  const words = wordsOf(options, stdout);
  const live = stdout.isTTY && options.json !== true && options.quiet !== true;
  const ended = AbortSignal.any([signal, out.closed]);
  let status = await look(options);
  try {
    if (live) await out.write(enterView);
    for (;;) {
      if (options.quiet !== true) await out.write(live ? page(words(status), sizeOf(stdout)) : words(status));
      await systemClock.sleep(everyMs, ended);
      status = await look(options);
    }
  } catch (error) {
    if (!out.closed.aborted) throw error;
    return exitCode.ok;
  } finally {
    // Not `write`: whatever happened, the terminal is given back.
    if (live) stdout.write(leaveView);
  }
}

function wordsOf({ json }: StatusOptions, stdout: NodeJS.WriteStream): (status: StatusReply) => string {
  if (json === true) return (status) => `${JSON.stringify(status)}\n`;
  return (status) => `${statusTable(status, widthOf(stdout))}${stdout.isTTY ? '' : '\n'}`;
}
