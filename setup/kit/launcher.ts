import { z } from 'zod';

/** A word of the launcher's command line, or a value of its environment. `inside`: paths below the kit, which may be moved. */
export type Word =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'inside'; readonly paths: readonly [string, ...string[]] };

export interface Launch {
  readonly words: readonly [Word, ...Word[]];
  readonly env: Readonly<Record<string, Word>>;
}

const stampShape = z.object({
  route: z.string(),
  /** The executable: absolute, or from the kit's directory. */
  file: z.string(),
  /** Its size and time of change. */
  identity: z.string(),
  /** The same of a user's own engine that did not work, so that it is not tried again until it changes; empty if there was none. */
  passedOver: z.string(),
});

/** What the launcher starts, so that a later run can see cheaply whether it is still there, unchanged. */
export type Stamp = z.infer<typeof stampShape>;

const stampPrefix = '# kit: ';

/** A POSIX shell script that finds the kit by its own place and *becomes* the engine: signals and process ids are the engine's own. */
export function launcherText(launch: Launch, stamp: Stamp): string {
  const env = Object.entries(launch.env).map(([name, word]) => `${name}=${shellWord(word)}\nexport ${name}\n`);
  return `#!/bin/sh
${stampPrefix}${JSON.stringify(stamp)}
kit=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) || exit 127
${env.join('')}exec ${launch.words.map(shellWord).join(' ')} "$@"
`;
}

/** The stamp of a launcher; undefined where the text is none of ours. */
export function readStamp(launcher: string): Stamp | undefined {
  const line = launcher.split('\n').find((candidate) => candidate.startsWith(stampPrefix));
  if (line === undefined) return undefined;
  try {
    return stampShape.safeParse(JSON.parse(line.slice(stampPrefix.length))).data;
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}

function shellWord(word: Word): string {
  switch (word.kind) {
    case 'text':
      return quoted(word.text);
    case 'inside':
      return word.paths.map((path) => `"$kit"/${quoted(path)}`).join(':');
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
