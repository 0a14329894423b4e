import { isatty } from 'node:tty';
import { Command, CommanderError } from 'commander';
import { exitCode } from './exit-code.ts';
import type { Session } from './start.ts';
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

type AddVerb = (program: Command, run: Run) => void;

/**
 * Every verb but `start` and `version`, in the order of the help: by which first words it is meant and needs no other verb (`completion`
 * writes of all), and where it is. Loading all of them takes longer than most of them take.
 */
const verbs: readonly (readonly [words: readonly string[], load: () => Promise<AddVerb>])[] = [
  [['plan'], async () => (await import('./plan.ts')).addPlan],
  [['status'], async () => (await import('./status.ts')).addStatus],
  [['logs'], async () => (await import('./logs.ts')).addLogs],
  [['reload'], async () => (await import('./reload.ts')).addReload],
  [['restart'], async () => (await import('./restart.ts')).addRestart],
  [['stop'], async () => (await import('./stop.ts')).addStop],
  [['scale'], async () => (await import('./scale.ts')).addScale],
  [['lora'], async () => (await import('./lora.ts')).addLora],
  [['simulate'], async () => (await import('./simulate.ts')).addSimulate],
  [['validate'], async () => (await import('./validate.ts')).addValidate],
  [['pull'], async () => (await import('./pull.ts')).addPull],
  [['cache'], async () => (await import('./cache.ts')).addCache],
  [['schema'], async () => (await import('./schema.ts')).addSchema],
  [['openapi'], async () => (await import('./openapi.ts')).addOpenApi],
  [['key'], async () => (await import('./key.ts')).addKey],
  [['init', 'gen-config'], async () => (await import('./init.ts')).addInit],
  [['import'], async () => (await import('./import.ts')).addImport],
  [['chat'], async () => (await import('./chat.ts')).addChat],
  [['conformance'], async () => (await import('./conformance.ts')).addConformance],
  [['doctor'], async () => (await import('./doctor.ts')).addDoctor],
  [['complete-models'], async () => (await import('./completion.ts')).addCompletion],
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
      if (dryRun) return (await import('./plan.ts')).plan(config, output);
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

/**
 * The command line; `run` carries an action out. `word`: the first argument; where that means a verb, the others are left out, and
 * without it none is.
 */
export async function commandLine(run: Run, word?: string): Promise<Command> {
  const program = new Command('gateway')
    .description('Serves LLMs on your own machines: launches engines, and one OpenAI-compatible API in front of them.')
    .version(version);
  program.exitOverride().showHelpAfterError("(run 'gateway --help' for the commands)");
  addStart(program, run);
  addVersion(program, run);
  if (word === '--version' || word === '-V') return program;
  if (program.commands.some((command) => command.name() === word || command.aliases().some((alias) => alias === word))) return program;
  const meant = verbs.filter(([words]) => word !== undefined && words.includes(word));
  const adding = await Promise.all((meant.length === 0 ? verbs : meant).map(([, load]) => load()));
  for (const add of adding) add(program, run);
  return program;
}

/** Runs one command. `argv`: the arguments after the program's name. Resolves with the exit code. */
export async function runCommand(argv: readonly string[]): Promise<number> {
  let code: number = exitCode.ok;
  const program = await commandLine(async (action) => {
    code = await action();
  }, argv[0]);
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
