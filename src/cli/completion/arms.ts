import { allVerbs, type Value, type VerbWords } from './words.ts';

/** A branch of a shell's `case` or `switch`: when the word is one of `keys`, do `action`. No key has a quote or a wildcard in it. */
export interface Arm {
  readonly keys: readonly string[];
  readonly action: string;
}

export interface Candidate {
  readonly word: string;
  /** Empty: none. */
  readonly description: string;
}

/** How a shell says what a completion does. */
export interface ShellActions {
  /** Remembers the option in `$word`, for the next word is its value. */
  readonly takeValue: string;
  readonly files: string;
  readonly models: string;
  /** Goes on in a verb. */
  enter(path: string): string;
  offer(candidates: readonly Candidate[]): string;
}

/** All decisions of a completion script, which is the same in every shell. */
export interface Arms {
  /** By `verb:word`, for the words before the one that is completed. */
  readonly steps: readonly Arm[];
  /** By `verb:option`: its value. */
  readonly values: readonly Arm[];
  /** By `verb`: its options. */
  readonly options: readonly Arm[];
  /** By `verb:count of arguments before`: an argument, or a verb below. */
  readonly arguments: readonly Arm[];
}

/** An argument that may be repeated is completed this many times. */
const mostRepeated = 8;

export function armsOf(program: VerbWords, shell: ShellActions): Arms {
  const verbs = allVerbs(program);
  return {
    steps: [...verbs.flatMap((verb) => valueTakers(verb, shell)), ...verbs.flatMap((verb) => entries(verb, shell))],
    values: verbs.flatMap(({ path, options }) =>
      options.flatMap(({ names, value }) =>
        arm(
          names.map((option) => `${path}:${option}`),
          value,
          shell,
        ),
      ),
    ),
    options: verbs.map(({ path, options }) => ({
      keys: [path],
      action: shell.offer(options.flatMap(({ names, description }) => names.map((word) => ({ word, description })))),
    })),
    arguments: verbs.flatMap((verb) => argumentArms(verb, shell)),
  };
}

function arm(keys: readonly string[], value: Value | undefined, shell: ShellActions): readonly Arm[] {
  switch (value?.kind) {
    case undefined:
    case 'any':
      return [];
    case 'file':
      return [{ keys, action: shell.files }];
    case 'model':
      return [{ keys, action: shell.models }];
    case 'choice':
      return [{ keys, action: shell.offer(value.choices.map((word) => ({ word, description: '' }))) }];
  }
}

function valueTakers({ path, options }: VerbWords, shell: ShellActions): readonly Arm[] {
  const names = options.filter(({ value }) => value !== undefined).flatMap((option) => option.names);
  return names.length === 0 ? [] : [{ keys: names.map((name) => `${path}:${name}`), action: shell.takeValue }];
}

function entries({ path, verbs }: VerbWords, shell: ShellActions): readonly Arm[] {
  return verbs.map((verb) => ({ keys: verb.names.map((name) => `${path}:${name}`), action: shell.enter(verb.path) }));
}

function argumentArms({ path, arguments: values, variadic, verbs }: VerbWords, shell: ShellActions): readonly Arm[] {
  if (verbs.length > 0) {
    const candidates = verbs.flatMap(({ names, description }) => names.map((word) => ({ word, description })));
    return [{ keys: [`${path}:0`], action: shell.offer(candidates) }];
  }
  return values.flatMap((value, at) => {
    const times = variadic && at === values.length - 1 ? mostRepeated : 1;
    return arm(
      Array.from({ length: times }, (_, more) => `${path}:${at + more}`),
      value,
      shell,
    );
  });
}
