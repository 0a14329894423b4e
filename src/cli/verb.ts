import type { Command } from 'commander';
import type { ExitCode } from './exit-code.ts';

/** How `main` runs a verb's action: its exit code becomes the process's; what it throws is told. */
export type Run = (action: () => Promise<ExitCode>) => Promise<void>;

export interface OutputOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** For commander: an option that can be repeated. One that takes a list would take the verb's arguments for files. */
export function also(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

/** What every verb that prints an answer can be told about how. */
export function withOutput(command: Command): Command {
  return command
    .option('-q, --quiet', 'print nothing but errors')
    .option('--json', 'print the answer as JSON')
    .hook('preAction', (_, action) => {
      const { json, quiet }: OutputOptions = action.opts();
      if (json === true && quiet === true) action.error("error: options '--quiet' and '--json' exclude each other", { exitCode: 2 });
    });
}

/** Prints an answer: as JSON where that was asked for, else in words that end in a newline. */
export function print<T>({ json, quiet }: OutputOptions, answer: T, words: (answer: T) => string): void {
  if (json === true) process.stdout.write(`${JSON.stringify(answer, undefined, 2)}\n`);
  else if (quiet !== true) process.stdout.write(words(answer));
}
