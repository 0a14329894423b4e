import { isatty } from 'node:tty';
import { Command, CommanderError } from 'commander';
import { exitCode } from './exit-code.ts';
import { addCache } from './cache.ts';
import { addChat } from './chat.ts';
import { addCompletion } from './completion.ts';
import { addConformance } from './conformance.ts';
import { addDoctor } from './doctor.ts';
import { addImport } from './import.ts';
import { addInit } from './init.ts';
import { addKey } from './key.ts';
import { addLogs } from './logs.ts';
import { addLora } from './lora.ts';
import { addOpenApi } from './openapi.ts';
import { addPlan, plan } from './plan.ts';
import { addPull } from './pull.ts';
import { addReload } from './reload.ts';
import { addRestart } from './restart.ts';
import { addScale } from './scale.ts';
import { addSchema } from './schema.ts';
import type { Session } from './start.ts';
import { addSimulate } from './simulate.ts';
import { addStatus } from './status.ts';
import { addStop } from './stop.ts';
import { addValidate } from './validate.ts';
import { type OutputOptions, print, type Run, withOutput } from './verb.ts';
import { GatewayError } from '../core/errors.ts';
import { version } from '../core/version.ts';

/** With a terminal, SIGHUP says that it was closed, and engines must not outlive it unseen. Without, it is how one asks a service to reload. */
const hasTerminal = (): boolean => isatty(0) || isatty(1);
const stopSignals = (): readonly NodeJS.Signals[] => (hasTerminal() ? ['SIGINT', 'SIGTERM', 'SIGHUP'] : ['SIGINT', 'SIGTERM']);

const processSession: Omit<Session, 'keepEngines' | 'watch' | 'output'> = {
  out: process.stdout,
  atTerminal: isatty(1) || isatty(2),
  env: process.env,
  onSignal(listener) {
    const signals = stopSignals();
    for (const signal of signals) process.on(signal, listener);
    return () => {
      for (const signal of signals) process.off(signal, listener);
    };
  },
  onReload(listener) {
    if (hasTerminal()) return () => undefined;
    process.on('SIGHUP', listener);
    return () => process.off('SIGHUP', listener);
  },
  onDisaster(listener) {
    const die = (error: unknown): void => {
      try {
        listener(error);
      } finally {
        process.stderr.write(`gateway: ${error instanceof Error ? error.stack : String(error)}\n`);
        process.exit(exitCode.failure);
      }
    };
    process.on('uncaughtException', die);
    return () => process.off('uncaughtException', die);
  },
};

/** Every verb but `start` and `version`, in the order of the help. */
const verbs = [
  addPlan,
  addStatus,
  addLogs,
  addReload,
  addRestart,
  addStop,
  addScale,
  addLora,
  addSimulate,
  addValidate,
  addPull,
  addCache,
  addSchema,
  addOpenApi,
  addKey,
  addInit,
  addImport,
  addChat,
  addConformance,
  addDoctor,
  addCompletion,
];

const startHelp = `
With --json each thing that is told is a line of JSON, by its kind: warning, news, ready or listening (with the URLs), reloaded,
reload_refused, stopping, draining, stopped.

Example:
  gateway start -c configs/quickstart.yaml

Exit codes: 0 stopped, 1 failure (a port is taken, …), 2 usage, 3 another gateway runs on the state directory, 4 config invalid,
130 or 143 stopped at once by a second Ctrl-C or SIGTERM.`;

interface StartOptions extends OutputOptions {
  readonly config: readonly string[];
  readonly keepEngines?: boolean;
  readonly watch?: boolean;
  readonly dryRun?: boolean;
}

function addStart(program: Command, run: Run): void {
  const command = program
    .command('start')
    .alias('run')
    .description('launch the engines of a config file and serve until stopped')
    .requiredOption('-c, --config <file...>', 'the config file (YAML), or several that are joined')
    .option('--keep-engines', 'when stopped, leave the engines running for the next start to take over')
    .option('--watch', 'read the config again when one of its files changes; one that is not valid changes nothing')
    .option('--dry-run', "start nothing: show what 'gateway plan' shows")
    .addHelpText('after', startHelp);
  withOutput(command).action(({ config, keepEngines = false, watch = false, dryRun = false, ...output }: StartOptions) =>
    run(async () => {
      if (dryRun) return plan(config, output);
      // Only here: the servers behind it take longer to load than most other verbs take.
      const { start } = await import('./start.ts');
      return start(config, { ...processSession, keepEngines, watch, output });
    }),
  );
}

function addVersion(program: Command, run: Run): void {
  const command = program.command('version').description('print the version').addHelpText('after', '\nExample:\n  gateway version');
  withOutput(command).action((output: OutputOptions) =>
    run(async () => {
      print(output, { version }, () => `${version}\n`);
      return exitCode.ok;
    }),
  );
}

/** The whole command line; `run` carries an action out. */
export function commandLine(run: Run): Command {
  const program = new Command('gateway')
    .description('Serves LLMs on your own machines: launches engines, and one OpenAI-compatible API in front of them.')
    .version(version);
  program.exitOverride().showHelpAfterError("(run 'gateway --help' for the commands)");
  addStart(program, run);
  addVersion(program, run);
  for (const add of verbs) add(program, run);
  return program;
}

/** Runs one command. `argv`: the arguments after the program's name. Resolves with the exit code. */
export async function runCommand(argv: readonly string[]): Promise<number> {
  let code: number = exitCode.ok;
  const program = commandLine(async (action) => {
    code = await action();
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.ok : exitCode.usage;
    if (!(error instanceof GatewayError)) throw error;
    const invalid = error.code === 'config_invalid';
    process.stderr.write(invalid ? `gateway: the config is not valid.\n${error.message}\n` : `gateway: ${error.message}\n`);
    if (error.code === 'already_running') return exitCode.alreadyRunning;
    if (error.code === 'usage_invalid') return exitCode.usage;
    return invalid ? exitCode.configInvalid : exitCode.failure;
  }
}
