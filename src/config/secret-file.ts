import { readFileSync, statSync } from 'node:fs';
import { messageOf } from '../core/errors.ts';

/** What a file that holds one secret says: its text without the blanks around it, or why it cannot be read. */
export type SecretFile = { readonly text: string; readonly openToOthers: boolean } | { readonly problem: string };

const others = 0o004;

export function readSecretFile(path: string): SecretFile {
  try {
    return { text: readFileSync(path, 'utf8').trim(), openToOthers: (statSync(path).mode & others) !== 0 };
  } catch (error) {
    return { problem: `cannot be read: ${messageOf(error)}` };
  }
}
