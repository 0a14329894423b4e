import type { Argument, Command, Option } from 'commander';

/** What may stand in a place of the command line. */
export type Value =
  | { readonly kind: 'any' }
  | { readonly kind: 'file' }
  /** A model of the running gateway. */
  | { readonly kind: 'model' }
  | { readonly kind: 'choice'; readonly choices: readonly string[] };

export interface OptionWords {
  /** E.g. `-c` and `--config`. */
  readonly names: readonly string[];
  readonly description: string;
  /** Undefined: it takes none. */
  readonly value: Value | undefined;
}

/** What a shell needs to know of one verb; `path` is `''` for the program, `import ray` for a verb of a verb. */
export interface VerbWords {
  readonly path: string;
  readonly names: readonly string[];
  readonly description: string;
  readonly options: readonly OptionWords[];
  /** What follows the verb, in order; the last one is repeated when `variadic`. */
  readonly arguments: readonly Value[];
  readonly variadic: boolean;
  readonly verbs: readonly VerbWords[];
}

/** The words of a program and of all its verbs, but hidden ones. */
export function wordsOf(command: Command, path = ''): VerbWords {
  const help = command.createHelp();
  const verbs = help.visibleCommands(command).map((verb) => wordsOf(verb, `${path} ${verb.name()}`.trim()));
  return {
    path,
    names: [command.name(), ...command.aliases()],
    description: firstLine(command.description()),
    options: help.visibleOptions(command).map(optionWords),
    arguments: command.registeredArguments.map(argumentValue),
    variadic: command.registeredArguments.at(-1)?.variadic === true,
    verbs,
  };
}

/** The verbs below `verb`, and those below them. */
export function allVerbs(verb: VerbWords): readonly VerbWords[] {
  return [verb, ...verb.verbs.flatMap(allVerbs)];
}

function optionWords(option: Option): OptionWords {
  const takes = option.required || option.optional;
  const named = /[<[]([^>\].]+)/.exec(option.flags)?.[1] ?? '';
  const value = option.argChoices === undefined ? valueNamed(named) : { kind: 'choice' as const, choices: option.argChoices };
  return {
    names: [option.short, option.long].filter((name) => name !== undefined),
    description: firstLine(option.description),
    value: takes ? value : undefined,
  };
}

function argumentValue(argument: Argument): Value {
  return argument.argChoices === undefined ? valueNamed(argument.name()) : { kind: 'choice', choices: argument.argChoices };
}

/** By the name that help gives it: `<file>`, `<model>`. */
function valueNamed(name: string): Value {
  if (/\b(?:file|dir|directory)\b/.test(name)) return { kind: 'file' };
  return /\b(?:model|replica|target)\b/i.test(name) && name !== 'replicas' ? { kind: 'model' } : { kind: 'any' };
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? '';
}
