import { randomBytes } from 'node:crypto';
import { Argument, type Command } from 'commander';
import { keyDigest } from '../core/access.ts';
import { exitCode } from './exit-code.ts';
import { type OutputOptions, print, type Run, withOutput } from './verb.ts';

interface NewKey {
  readonly name: string;
  /** Shown once: nothing keeps it. */
  readonly key: string;
  readonly sha256: string;
}

/** 256 bits: nobody guesses them, nor finds them from their digest. */
const keyBytes = 32;

const help = `
The key is random (256 bits) and shown once. The config gets only its SHA-256, from which nobody can find it again. 'gateway reload'
makes a running gateway take it. A key for the admin listener is made the same way: gateway.admin.sha256.`;

export function newKey(name: string): NewKey {
  const key = `rh-${randomBytes(keyBytes).toString('base64url')}`;
  return { name, key, sha256: keyDigest(key) };
}

export function inWords({ name, key, sha256 }: NewKey): string {
  return `${key}\n\nThe key is shown only now. In the config:\n\ngateway:\n  keys:\n    - {name: ${JSON.stringify(name)}, sha256: ${sha256}}\n`;
}

/** Adds `gateway key new`. */
export function addKey(program: Command, run: Run): void {
  const command = program
    .command('key')
    .description('make a key for the API, and the line that the config needs for it')
    .addArgument(new Argument('<action>', 'what to do').choices(['new']))
    .option('--name <name>', 'whose key it is', 'default')
    .addHelpText('after', `\nExample:\n  gateway key new --name alice\n${help}`);
  withOutput(command).action((_action: string, { name, ...output }: { name: string } & OutputOptions) =>
    run(() => {
      print(output, newKey(name), inWords);
      return Promise.resolve(exitCode.ok);
    }),
  );
}
