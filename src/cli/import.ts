import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { isScalar } from 'yaml';
import { ConfigError } from '../config/problems.ts';
import type { SourceDocument } from '../config/positions.ts';
import { readText } from '../config/source-file.ts';
import { parseYaml } from '../config/yaml-document.ts';
import { GatewayError } from '../core/errors.ts';
import { engines } from '../plugins/registry.ts';
import { exitCode } from './exit-code.ts';
import type { Imported } from './import/imported.ts';
import { importLlamaSwap, llamaSwapSchema } from './import/llama-swap.ts';
import { importRay } from './import/ray.ts';
import type { Run } from './verb.ts';

interface ImportOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const help = `
Examples:
  gateway import llama-swap config.yaml > serve.yaml
  gateway import ray serve_config.yaml > serve.yaml

The config goes to stdout; what has no counterpart is told on stderr, and in a comment on top of the config.`;

/** Adds `gateway import`. */
export function addImport(program: Command, run: Run): void {
  const command = program.command('import').description("print a config that stands for another program's").addHelpText('after', help);
  const sources: readonly (readonly [string, string, (file: string) => Imported])[] = [
    ['llama-swap', 'a config.yaml of llama-swap: commands become engines and their options', fromLlamaSwap],
    ['ray', 'a config of Ray Serve LLM, without what has no effect here (it also runs as it is)', fromRay],
  ];
  for (const [name, description, read] of sources) {
    command
      .command(name)
      .argument('<file>', 'the file to read (YAML)')
      .description(description)
      .option('--json', 'print {config, left} as JSON')
      .option('-q, --quiet', 'do not tell what has no counterpart')
      .addHelpText('after', `\nExample:\n  gateway import ${name} config.yaml > serve.yaml`)
      .action((file: string, options: ImportOptions) =>
        run(async () => {
          tell(read(file), options);
          return exitCode.ok;
        }),
      );
  }
}

function tell({ text, left }: Imported, { json, quiet }: ImportOptions): void {
  process.stdout.write(json === true ? `${JSON.stringify({ config: text, left }, undefined, 2)}\n` : text);
  if (quiet === true || json === true) return;
  for (const line of left) process.stderr.write(`left out: ${line}\n`);
}

function fromLlamaSwap(file: string): Imported {
  const parsed = llamaSwapSchema.safeParse(read(file).document.toJS());
  if (parsed.success) return importLlamaSwap(parsed.data, engines);
  const problems = parsed.error.issues.map(({ path, message }) => `${file}: ${path.map(String).join('.')}: ${message}`);
  throw new GatewayError('config_invalid', problems.join('\n'));
}

/** Entries in files of their own are put in their places: the paths would lead nowhere from where the output is put. */
function fromRay(file: string): Imported {
  const { document } = read(file);
  const lists = [
    ['llm_configs'],
    ...(indexes(document.getIn(['applications'])) ?? []).map((at) => ['applications', at, 'args', 'llm_configs']),
  ];
  for (const list of lists) {
    for (const at of indexes(document.getIn(list)) ?? []) {
      const entry = document.getIn([...list, at], true);
      if (!isScalar(entry) || typeof entry.value !== 'string') continue;
      document.setIn([...list, at], read(resolve(dirname(file), entry.value)).document.contents);
    }
  }
  return importRay(document);
}

function indexes(node: unknown): readonly number[] | undefined {
  const items = typeof node === 'object' && node !== null && 'items' in node && Array.isArray(node.items) ? node.items : undefined;
  return items === undefined ? undefined : [...items.keys()];
}

/** @throws ConfigError where the file cannot be read, or is no YAML */
function read(file: string): SourceDocument {
  const found = readText(file);
  if (found.kind === 'problem') throw new ConfigError([{ file, line: found.line, column: found.column, path: '', message: found.message }]);
  const { source, problems } = parseYaml(found.text, file);
  if (problems.length > 0) throw new ConfigError(problems.map((problem) => ({ ...problem, path: '' })));
  return source;
}
