import { Argument, type Command } from 'commander';
import type { StatusReply } from '../admin/api.ts';
import { askAdmin, stateDirOf, type Where } from './admin-client.ts';
import { bashScript } from './completion/bash.ts';
import { fishScript } from './completion/fish.ts';
import { type VerbWords, wordsOf } from './completion/words.ts';
import { zshScript } from './completion/zsh.ts';
import { exitCode } from './exit-code.ts';
import { printable } from './printable.ts';
import { type OutputOptions, print, type Run, withOutput } from './verb.ts';

const scripts: Readonly<Record<string, (program: VerbWords) => string>> = { bash: bashScript, zsh: zshScript, fish: fishScript };

const help = `
Examples:
  eval "$(gateway completion bash)"                                    in ~/.bashrc
  eval "$(gateway completion zsh)"                                     in ~/.zshrc, after compinit
  gateway completion fish > ~/.config/fish/completions/gateway.fish

Completes commands, options, files, and the models of the gateway that runs (the one that -c or --state-dir on the line names).`;

/** Adds `gateway completion`, and the hidden verb by which its scripts ask for models. */
export function addCompletion(program: Command, run: Run): void {
  const command = program
    .command('completion')
    .description('print a completion script for a shell')
    .addArgument(new Argument('<shell>', 'which shell').choices(Object.keys(scripts)))
    .addHelpText('after', help);
  withOutput(command).action((shell: string, output: OutputOptions) =>
    run(async () => {
      const script = scripts[shell]?.(wordsOf(program)) ?? '';
      print(output, { shell, script }, () => script);
      return exitCode.ok;
    }),
  );
  program
    .command('complete-models [words...]', { hidden: true })
    .description("print the models of the running gateway, one a line: for shells' completion")
    .addHelpText('after', '\nExample:\n  gateway complete-models -- chat -c serve.yaml')
    .action((words: readonly string[] = []) =>
      run(async () => {
        for (const model of await modelsOf(gatewayOf(words))) process.stdout.write(`${model}\n`);
        return exitCode.ok;
      }),
    );
}

/** Which gateway the words of a command line mean. */
export function gatewayOf(words: readonly string[]): Where {
  const valuesOf = (...names: readonly string[]): readonly string[] =>
    words.flatMap((word, at) => {
      const next = words[at + 1];
      if (names.includes(word)) return next === undefined || next === '' ? [] : [next];
      const given = names.find((name) => name.startsWith('--') && word.startsWith(`${name}=`));
      return given === undefined ? [] : [word.slice(given.length + 1)];
    });
  const config = valuesOf('-c', '--config');
  const stateDir = valuesOf('--state-dir').at(-1);
  return { ...(config.length > 0 && { config }), ...(stateDir !== undefined && { stateDir }) };
}

/** None where no gateway answers: a completion has nobody to tell of a failure. */
async function modelsOf(where: Where): Promise<readonly string[]> {
  try {
    const { apps } = await askAdmin<StatusReply>(await stateDirOf(where), { method: 'GET', path: '/api/status' });
    return apps.flatMap(({ names }) => names).map(printable);
  } catch {
    return [];
  }
}
