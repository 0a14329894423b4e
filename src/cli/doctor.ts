import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import type { Command } from 'commander';
import type { Config } from '../config/config.ts';
import type { LoadedConfig } from '../config/load.ts';
import { ConfigError } from '../config/problems.ts';
import { engines as builtIn } from '../plugins/registry.ts';
import type { ConfigFact } from './doctor/facts.ts';
import { gather } from './doctor/gather.ts';
import { reportText } from './doctor/report.ts';
import { verdicts } from './doctor/verdicts.ts';
import { exitCode, type ExitCode } from './exit-code.ts';
import { loadConfigHere } from './load-config.ts';
import { coloured } from './output.ts';
import { type OutputOptions, print, type Run, withOutput } from './verb.ts';

interface DoctorOptions extends OutputOptions {
  readonly config?: readonly string[];
}

const help = `
Examples:
  gateway doctor                  what is installed here, and would a gateway without settings run
  gateway doctor -c serve.yaml    the same for a config: its engines, GPUs, ports and directories
  gateway doctor --json           {"checks":[{"name","level","message","remedy"}]}; level: ok, warning or failure

It looks at Node, the engines (do they run, which version, is it one with known holes), their Python, GPUs and driver, the limit of
open files, the space and permissions of the state and cache directories, the ports, and whether a gateway runs. It changes nothing.
A Python engine takes 5 to 20 s to tell its version.

Exit codes: 0 no failure (there may be warnings), 1 a failure, 2 usage.`;

/** Adds `gateway doctor`: whether this machine can run a gateway, and what to do where it cannot. */
export function addDoctor(program: Command, run: Run): void {
  withOutput(
    program
      .command('doctor')
      .description('check this machine: engines, GPUs, limits, ports, directories')
      .option('-c, --config <file...>', 'check what this config needs; several files are joined')
      .addHelpText('after', help),
  ).action((options: DoctorOptions) => run(() => doctor(options)));
}

async function doctor({ config: files, ...output }: DoctorOptions): Promise<ExitCode> {
  const { config, engines, fact } = await readConfig(files);
  const surroundings = {
    env: process.env,
    homeDir: homedir(),
    plugins: engines,
    node: { version: process.versions.node, oldest: oldestNode() },
  };
  const checks = verdicts(await gather(config, fact, surroundings, new AbortController().signal));
  print(output, { checks }, (report) => reportText(report.checks, coloured(process.stdout, process.env)));
  return checks.some(({ level }) => level === 'failure') ? exitCode.failure : exitCode.ok;
}

interface ReadConfig {
  readonly config: Config | undefined;
  readonly engines: LoadedConfig['engines'];
  readonly fact: ConfigFact;
}

/** The oldest version of Node that this package runs on, by its package.json. */
function oldestNode(): string {
  const { engines: needs } = createRequire(import.meta.url)('../../package.json') as { readonly engines: { readonly node: string } };
  return needs.node.replace('>=', '');
}

async function readConfig(files: readonly string[] | undefined): Promise<ReadConfig> {
  if (files === undefined) return { config: undefined, engines: builtIn, fact: { kind: 'none' } };
  try {
    const { config, engines, warnings } = await loadConfigHere(files);
    return { config, engines, fact: { kind: 'valid', files: config.files.join(', '), warnings: warnings.length } };
  } catch (error) {
    if (error instanceof ConfigError) return { config: undefined, engines: builtIn, fact: { kind: 'invalid', message: error.message } };
    throw error;
  }
}
