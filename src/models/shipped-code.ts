import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMapping } from '../core/json.ts';

/** A file whose `auto_map` has the engine run code that comes with the model; undefined where there is none. `root`: the model's files. */
export function shippedCode(root: string, paths: readonly string[]): string | undefined {
  return paths.find((path) => {
    if (!/(?:^|\/)(?:tokenizer_|processor_|preprocessor_)?config\.json$/.test(path)) return false;
    try {
      const config: unknown = JSON.parse(readFileSync(join(root, path), 'utf8'));
      return isMapping(config) && config['auto_map'] !== undefined;
    } catch {
      // No JSON: the engine will say so.
      return false;
    }
  });
}
