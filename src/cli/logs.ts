import type { Command } from 'commander';
import type { LogLine } from '../admin/api.ts';
import { adminLines, adminVerb, stateDirOf, type Where } from './admin-client.ts';
import { exitCode, type ExitCode } from './exit-code.ts';
import { untilLeft } from './interruptible.ts';
import { coloured, Output } from './output.ts';
import { printable } from './printable.ts';
import { wholeNumber } from './scale.ts';
import type { Run } from './verb.ts';

interface LogOptions extends Where {
  readonly follow?: boolean;
  readonly lines: number;
}

const help = `  gateway logs 'my-model#1' --lines 20
  gateway logs -f --json | jq -r .line

First the last lines of each log, then, with -f, those that come: of replicas that start later too. -f ends with Ctrl-C, and that is no
failure. Each line begins with its replica. An engine's text cannot steer the terminal: control characters are left out. --json prints
an object a line: {"replica", "line"}.

Exit codes: 0 printed or left, 1 no gateway (any more), or no such model or replica, 2 usage.`;

/** Adds `gateway logs`: what the engines of the running gateway print. */
export function addLogs(program: Command, run: Run): void {
  adminVerb(program, 'logs', 'print what the engines of the running gateway print', 'my-model -f')
    .argument('[target]', 'a model, or a replica: my-model#0, or its id (default: all)')
    .option('-f, --follow', 'go on with what comes, until Ctrl-C')
    .option('-n, --lines <count>', 'how many of the lines that are there, of each replica', wholeNumber, 100)
    .addHelpText('after', help)
    .action((target: string | undefined, options: LogOptions) => run(() => logs(target, options)));
}

async function logs(target: string | undefined, options: LogOptions): Promise<ExitCode> {
  const { follow = false, lines } = options;
  const query = new URLSearchParams({ lines: String(lines), follow: String(follow), ...(target !== undefined && { target }) });
  const work = async (signal: AbortSignal): Promise<ExitCode> => {
    using out = new Output(process.stdout);
    const words = options.json === true ? asJson : inWords(coloured(process.stdout, process.env));
    try {
      for await (const line of adminLines(
        await stateDirOf(options),
        `/api/logs?${query.toString()}`,
        AbortSignal.any([signal, out.closed]),
      ))
        if (options.quiet !== true) await out.write(words(JSON.parse(line) as LogLine));
    } catch (error) {
      if (!out.closed.aborted) throw error;
    }
    return exitCode.ok;
  };
  return untilLeft(work);
}

function asJson(line: LogLine): string {
  return `${JSON.stringify(line)}\n`;
}

/** A line as a person reads it; only the name of the replica, which is ours, has a colour. */
export function inWords(colour: boolean): (line: LogLine) => string {
  const [cyan, plain] = colour ? ['\u001B[36m', '\u001B[39m'] : ['', ''];
  return ({ replica, line }) => `${cyan}${printable(replica)}${plain} | ${printable(line)}\n`;
}
