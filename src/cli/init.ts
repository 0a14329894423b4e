import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { LoadDeps } from '../config/load.ts';
import { formatProblem, type ConfigProblem } from '../config/problems.ts';
import { GatewayError } from '../core/errors.ts';
import { engines } from '../plugins/registry.ts';
import { machineGpus } from '../supervisor/gpus/machine.ts';
import { exitCode, type ExitCode } from './exit-code.ts';
import { type Ask, askAtTerminal, Cancelled, takeSuggestions } from './init/ask.ts';
import type { Answers } from './init/answers.ts';
import { type Flags, interview, wholeProblem } from './init/interview.ts';
import { lookAround } from './init/machine.ts';
import { placeFiles } from './init/place-files.ts';
import { type DraftFile, renderFiles } from './init/render.ts';
import type { Run } from './verb.ts';

interface InitOptions extends Flags {
  readonly dir: string;
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const help = `
Examples:
  gateway init                                     asks, and suggests what fits this machine
  gateway init --yes --engine fake --dir try       asks nothing
  gateway init --model Qwen/Qwen3-8B --gpu-type H100 --gpus 1   asks for the rest

It writes model_config/<id>.yaml and serve.yaml, checked as \`gateway validate\` does. Ctrl-C leaves nothing half-written.
Exit codes: 0 written, 1 failure, 2 usage (also: a file is there already), 4 the answers make no valid config, 130 cancelled.`;

/** Adds `gateway init`, the wizard that writes a first config. */
export function addInit(program: Command, run: Run): void {
  program
    .command('init')
    .alias('gen-config')
    .description('write a config: asks for what is not given, and suggests what fits this machine')
    .option('--engine <name>', `one of ${[...engines.keys()].join(', ')}`)
    .option('--model <source>', 'a Hugging Face id, a local path, or a bucket')
    .option('--id <name>', 'the name clients use for the model')
    .option('--gpu-type <name>', "the GPU, by Ray's name (H100, A10G, …)")
    .option('--gpus <count>', 'GPUs for this model; 0: on the CPU', whole(0, 1024))
    .option('--tensor-parallel-size <count>', 'GPUs that one replica is split over', whole(1, 1024))
    .option('--context-length <tokens>', 'longest context', whole(1, 100_000_000))
    .option('--lora-path <path>', 'serve LoRA adapters from here')
    .option('--max-loras <count>', 'adapters in memory at a time, in each replica', whole(1, 1024))
    .option('--replicas <count>', 'a fixed number of replicas', whole(1, 10_000))
    .option('--min-replicas <count>', 'scale with the load: at least', whole(0, 10_000))
    .option('--max-replicas <count>', 'scale with the load: at most', whole(1, 10_000))
    .option('--hf-token', 'give the engine HF_TOKEN of the environment')
    .option('--no-hf-token', 'do not')
    .option('--dir <directory>', 'where to write', '.')
    .option('-y, --yes', 'ask nothing: take the suggestion for what is not given')
    .option('-f, --force', 'replace files that are there')
    .option('--json', 'print what was written as JSON')
    .option('-q, --quiet', 'print nothing but warnings')
    .addHelpText('after', help)
    .action((options: InitOptions) => run(() => init(options)));
}

async function init(options: InitOptions): Promise<ExitCode> {
  const { stdin, stdout, env } = process;
  const asks = options.yes !== true;
  if (asks && !(stdin.isTTY && stdout.isTTY)) {
    throw new GatewayError('usage_invalid', 'init asks questions and this is not a terminal; expected --yes, with the answers as options.');
  }
  const ask = asks ? await askAtTerminal(stdin, stdout) : takeSuggestions;
  try {
    const machine = await lookAround(engines, env, machineGpus(env));
    const answers = await interview(options, machine, ask, { directory: process.cwd(), exists: existsSync });
    const drafts = renderFiles(answers);
    await allowReplacing(drafts, options, asks ? ask : undefined);
    const deps = { env: withToken(env, answers), engines, cores: navigator.hardwareConcurrency, homeDir: homedir() };
    const warnings = write(resolve(options.dir), drafts, deps);
    tell(options, drafts, warnings, answers);
    return exitCode.ok;
  } catch (error) {
    if (error instanceof Cancelled) return exitCode.interrupted;
    throw error;
  }
}

/** Asks before it replaces anything; with nobody to ask, refuses. */
async function allowReplacing(drafts: readonly DraftFile[], { dir, force }: InitOptions, ask: Ask | undefined): Promise<void> {
  const there = drafts.map(({ path }) => join(dir, path)).filter((path) => existsSync(path));
  if (there.length === 0 || force === true) return;
  if (ask === undefined)
    throw new GatewayError('usage_invalid', `${there.join(' and ')}: there already; expected --force, or another --dir.`);
  if (!(await ask.confirm(`Replace ${there.join(' and ')}?`, false))) throw new Cancelled();
}

const ignore = (): void => undefined;

/** Ctrl-C within these milliseconds comes after the files are in place, not between them. */
function write(directory: string, drafts: readonly [DraftFile, DraftFile], deps: LoadDeps): readonly ConfigProblem[] {
  process.on('SIGINT', ignore);
  try {
    return placeFiles(directory, drafts, drafts[1], deps);
  } finally {
    process.off('SIGINT', ignore);
  }
}

/** The files are checked as they will be used: a token that is still to be set is not their mistake. */
function withToken(env: NodeJS.ProcessEnv, { hfToken }: Answers): NodeJS.ProcessEnv {
  return hfToken && !env['HF_TOKEN'] ? { ...env, HF_TOKEN: 'not-set-yet' } : env;
}

function tell(options: InitOptions, drafts: readonly DraftFile[], warnings: readonly ConfigProblem[], answers: Answers): void {
  const root = resolve(options.dir);
  if (options.json === true) {
    const files = drafts.map(({ path }) => join(root, path));
    process.stdout.write(`${JSON.stringify({ files, answers, warnings }, undefined, 2)}\n`);
    return;
  }
  for (const warning of warnings) process.stderr.write(`warning: ${formatProblem(warning)}\n`);
  if (options.quiet === true) return;
  const shown = (path: string): string => relative(process.cwd(), join(root, path)) || '.';
  for (const { path, text } of drafts) process.stdout.write(`\n── ${shown(path)}\n${text}`);
  const token = answers.hfToken && !process.env['HF_TOKEN'] ? 'export HF_TOKEN=…\n  ' : '';
  process.stdout.write(`\nBoth files are valid. Next:\n  ${token}gateway start -c ${shown('serve.yaml')}\n`);
}

function whole(min: number, max: number): (text: string) => number {
  const problem = wholeProblem(min, max);
  return (text) => {
    const found = problem(text);
    if (found !== undefined) throw new InvalidArgumentError(found);
    return Number(text);
  };
}
