import { didYouMean } from '../core/did-you-mean.ts';
import type { OptionProblem } from './engine-plugin.ts';
import type { ReadKwargs } from './kwargs.ts';

/** Options that argparse's help defines, in snake_case, with the `no_` forms. Mentions inside descriptions do not count. */
export function optionsOf(help: string): ReadonlySet<string> {
  const names = new Set<string>();
  for (const line of help.split('\n')) {
    if (!/^ {2,4}-/u.test(line)) continue;
    const [definition = ''] = line.trim().split(/ {2,}/u);
    for (const [, name = ''] of definition.matchAll(/(?:^|[\s,])--([a-z0-9][a-z0-9-]*)/giu)) names.add(name.replaceAll('-', '_'));
  }
  return names;
}

/**
 * Given options that the installed engine does not know, by its own help text. A text that lacks the option `landmark` is not the help
 * that was asked for (an error, another program), and proves nothing.
 */
export function unknownOptions(help: string, landmark: string, engine: string, given: ReadKwargs): readonly OptionProblem[] {
  const options = optionsOf(help);
  if (!options.has(landmark)) return [];
  const unknown = [...given.writtenAs].filter(([name]) => !options.has(name));
  return unknown.map(([name, written]) => ({
    path: [written],
    message: `no option of the installed ${engine}${didYouMean(name, options)}`,
  }));
}
