import { join, dirname } from 'node:path';
import { isMapping } from './fit.ts';
import type { Environment } from './interpolate.ts';
import { positionOf, type Position, type SourceDocument, type Spot } from './positions.ts';
import { formatPath, type ConfigPath, type ConfigProblem } from './problems.ts';
import { readValue, type ReadSink } from './read-value.ts';
import { readText } from './source-file.ts';
import { parseYaml } from './yaml-document.ts';

/**
 * A config file together with the files its `llm_configs` name: one value, and for each path in it the file and place it was written at.
 */
export class SourceTree {
  readonly problems: ConfigProblem[] = [];
  readonly warnings: ConfigProblem[] = [];
  readonly #env: Environment;
  readonly #sources: { readonly base: ConfigPath; readonly source: SourceDocument }[] = [];
  readonly #interpolated = new Set<string>();
  /** Paths with a problem: a second look at the same value would only repeat it. */
  readonly #told = new Set<string>();
  readonly #root: string;

  constructor(file: string, env: Environment) {
    this.#root = file;
    this.#env = env;
  }

  get interpolated(): ReadonlySet<string> {
    return this.#interpolated;
  }

  /** The file's value, entries of `llm_configs` that name a file replaced by what is in it; undefined where the file cannot be read. */
  read(): unknown {
    const value = this.#readFile(this.#root, []);
    if (!isMapping(value)) return value;
    this.#readEntries(value['llm_configs'], ['llm_configs']);
    const applications: unknown = value['applications'];
    for (const [index, app] of Array.isArray(applications) ? (applications as unknown[]).entries() : []) {
      const args: unknown = isMapping(app) ? app['args'] : undefined;
      if (!isMapping(args)) continue;
      const path = ['applications', index, 'args'];
      this.#readEntries(args['llm_configs'], [...path, 'llm_configs']);
      // A mapping of the file's own value, which is filled in as a list is.
      const one: unknown[] = [args['llm_config']];
      this.#readEntries(one, path, 'llm_config');
      if (typeof args['llm_config'] === 'string') Reflect.set(args, 'llm_config', one[0]);
    }
    return value;
  }

  problem(path: ConfigPath, message: string, where: Spot | Position = 'value'): void {
    const formatted = formatPath(path);
    if (this.#told.has(formatted)) return;
    this.#told.add(formatted);
    this.problems.push({ ...this.#place(path, where), path: formatted, message });
  }

  warning(path: ConfigPath, message: string): void {
    this.warnings.push({ ...this.#place(path, 'key'), path: formatPath(path), message });
  }

  /** Absolute directory of the file that the value at `path` was written in. */
  directoryOf(path: ConfigPath): string {
    return this.#sourceOf(path)?.source.directory ?? '/';
  }

  #place(path: ConfigPath, where: Spot | Position): Position {
    if (typeof where === 'object') return { file: where.file, line: where.line, column: where.column };
    const found = this.#sourceOf(path);
    if (found === undefined) return { file: this.#root, line: 1, column: 1 };
    return positionOf(found.source, path.slice(found.base.length), where);
  }

  /** The innermost file that has `path`: entries in files of their own come after the file that names them. */
  #sourceOf(path: ConfigPath): { readonly base: ConfigPath; readonly source: SourceDocument } | undefined {
    return this.#sources.findLast(({ base }) => base.length <= path.length && base.every((step, at) => step === path[at]));
  }

  /** @param only the key of an entry that stands alone, in place of its index */
  #readEntries(entries: unknown, path: ConfigPath, only?: string): void {
    if (!Array.isArray(entries)) return;
    for (const [index, entry] of (entries as unknown[]).entries()) {
      if (typeof entry !== 'string' || entry === '') continue;
      const directory = dirname(this.#root);
      const file = entry.startsWith('/') || directory === '.' ? entry : join(directory, entry);
      (entries as unknown[])[index] = this.#readFile(file, [...path, only ?? index]);
    }
  }

  #readFile(file: string, base: ConfigPath): unknown {
    const found = readText(file);
    if (found.kind === 'problem') {
      const { line, column, message } = found;
      // A file that cannot be opened is a mistake of whoever names it.
      const named = base.length > 0 && line === 1 && column === 1;
      this.problem(base, named ? `${JSON.stringify(file)}: ${message}` : message, named ? 'value' : { file, line, column });
      return undefined;
    }
    const { source, problems } = parseYaml(found.text, file);
    for (const { message, ...position } of problems) this.problems.push({ ...position, path: formatPath(base), message });
    if (problems.length > 0) {
      this.#told.add(formatPath(base));
      return undefined;
    }
    this.#sources.push({ base, source });
    const sink: ReadSink = { problem: (...told) => this.problem(...told), warning: (...told) => this.warning(...told) };
    const result = readValue(source, this.#env, base, sink);
    for (const path of result.interpolated) this.#interpolated.add(path);
    return result.value;
  }
}
