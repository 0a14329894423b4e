import { readFileSync } from 'node:fs';
import { GatewayError, messageOf } from '../core/errors.ts';

/** The key in the file of `--api-key-file`; undefined where none was given. @throws GatewayError `usage_invalid` */
export function readKeyFile(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new GatewayError('usage_invalid', `--api-key-file ${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
