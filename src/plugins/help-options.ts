import { didYouMean } from '../core/did-you-mean.ts';
import type { OptionProblem } from './engine-plugin.ts';
import type { ReadKwargs } from './kwargs.ts';

/**
 * Options that a help text defines, in snake_case, with the `no_` forms: lines that begin with an option, indented as
 * argparse does or not at all. Mentions inside descriptions do not count.
 */
export function optionsOf(help: string): ReadonlySet<string> {
  const names = new Set<string>();
  for (const line of help.split('\n')) {
    if (!/^ {0,4}-/u.test(line)) continue;
    // The description follows two spaces, but spaces after a comma only line the names up.
    const [definition = ''] = line.trim().split(/(?<![, ]) {2,}/u);
    for (const [, name = ''] of definition.matchAll(/(?:^|[\s,])--([a-z0-9][a-z0-9-]*)/giu)) names.add(name.replaceAll('-', '_'));
  }
  return names;
}

/** The options of a help text; undefined for a text that lacks the option `landmark`: it is something else (an error, another program). */
export function helpOf(text: string, landmark: string): ReadonlySet<string> | undefined {
  const options = optionsOf(text);
  return options.has(landmark) ? options : undefined;
}

/** Given options that are not among those of the installed engine. */
export function unknownOptions(
  installed: ReadonlySet<string>,
  engine: string,
  { writtenAs }: Pick<ReadKwargs, 'writtenAs'>,
): readonly OptionProblem[] {
  const unknown = [...writtenAs].filter(([name]) => !installed.has(name));
  return unknown.map(([name, written]) => ({
    path: [written],
    message: `no option of the installed ${engine}${didYouMean(name, installed)}`,
  }));
}
