import type { Command } from 'commander';
import { commandLine } from '../../src/cli/command-line.ts';

/** A verb of the program, e.g. `import ray`. */
export interface Verb {
  readonly name: string;
  readonly command: Command;
}

/** The program, whose actions do nothing. */
export const program = (): Promise<Command> => commandLine(() => Promise.resolve());

/** What `--help` prints, 100 columns wide, without colours. */
export function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 100, getOutHasColors: () => false });
  command.outputHelp();
  return text;
}

/** Every verb that help lists, those that have verbs of their own too, in its order. */
export function verbsOf(command: Command, path = ''): readonly Verb[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .filter((verb) => verb.name() !== 'help')
    .flatMap((verb) => {
      const name = `${path}${verb.name()}`;
      return [{ name, command: verb }, ...verbsOf(verb, `${name} `)];
    });
}
