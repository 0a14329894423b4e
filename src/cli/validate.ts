import type { Command } from 'commander';
import { formatProblem } from '../config/problems.ts';
import { exitCode } from './exit-code.ts';
import { interruptible } from './interruptible.ts';
import { loadCheckedConfigHere } from './load-config.ts';
import { type OutputOptions, print, type Run, withOutput } from './verb.ts';

interface Validity {
  /** The files, as given. */
  readonly config: readonly string[];
  /** `file:line:column: …` of what is accepted and has no effect, or could not be checked. */
  readonly warnings: readonly string[];
}

function inWords({ config, warnings }: Validity): string {
  return [
    ...warnings.map((warning) => `warning: ${warning}`),
    `${config.join(', ')} ${config.length === 1 ? 'is' : 'are together'} valid.`,
    '',
  ].join('\n');
}

export function addValidate(program: Command, run: Run): void {
  const command = program
    .command('validate')
    .description('check a config file, engine options against the installed engines too, and list what in it has no effect')
    .requiredOption('-c, --config <file...>', 'the config file (YAML), or several that are joined')
    .addHelpText('after', '\nExample:\n  gateway validate -c configs/fake.yaml\n\nExit codes: 0 valid, 4 not valid.');
  withOutput(command).action(({ config, ...output }: { config: readonly string[] } & OutputOptions) =>
    run(() =>
      interruptible(async (signal) => {
        const { warnings } = await loadCheckedConfigHere(config, signal);
        print(output, { config, warnings: warnings.map(formatProblem) }, inWords);
        return exitCode.ok;
      }),
    ),
  );
}
