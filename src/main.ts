#!/usr/bin/env node
import { realpathSync } from 'node:fs';
import { isatty } from 'node:tty';
import { pathToFileURL } from 'node:url';
import { Command, CommanderError } from 'commander';
import { exitCode } from './cli/exit-code.ts';
import { addCache } from './cli/cache.ts';
import { addChat } from './cli/chat.ts';
import { addCompletion } from './cli/completion.ts';
import { addConformance } from './cli/conformance.ts';
import { addDoctor } from './cli/doctor.ts';
import { addImport } from './cli/import.ts';
import { addInit } from './cli/init.ts';
import { addKey } from './cli/key.ts';
import { addLogs } from './cli/logs.ts';
import { addOpenApi } from './cli/openapi.ts';
import { addPlan, plan } from './cli/plan.ts';
import { surviveReaders } from './cli/output.ts';
import { addPull } from './cli/pull.ts';
import { addReload } from './cli/reload.ts';
import { addRestart } from './cli/restart.ts';
import { addScale } from './cli/scale.ts';
import { addSchema } from './cli/schema.ts';
import type { Session } from './cli/start.ts';
import { addSimulate } from './cli/simulate.ts';
import { addStatus } from './cli/status.ts';
import { addStop } from './cli/stop.ts';
import { addValidate } from './cli/validate.ts';
import { type OutputOptions, print, type Run, withOutput } from './cli/verb.ts';
import { GatewayError } from './core/errors.ts';
import { version } from './core/version.ts';

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
      const { start } = await import('./cli/start.ts');
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
export async function main(argv: readonly string[]): Promise<number> {
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

const entry = process.argv[1];
if (entry !== undefined && import.meta.url === pathToFileURL(realpathSync(entry)).href) {
  surviveReaders(process);
  const code = await main(process.argv.slice(2));
  process.exitCode ??= code;
}
