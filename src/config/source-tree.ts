import { createHash } from 'node:crypto';
import { dirname, join, resolve } from 'node:path';
import { isMapping } from '../core/json.ts';
import type { Environment } from './interpolate.ts';
import { joinedLists, joinValues } from './join-values.ts';
import { depthOf, positionOf, type Position, type SourceDocument, type Spot } from './positions.ts';
import { formatPath, type ConfigPath, type ConfigProblem } from './problems.ts';
import { readValue, type ReadSink } from './read-value.ts';
import { rayServiceOf } from './ray-service.ts';
import { readText } from './source-file.ts';
import { parseYaml } from './yaml-document.ts';

/** A file that was read, and where in the whole what it says stands. */
interface Source {
  readonly source: SourceDocument;
  /** Path of the entry that is in a file of its own; empty for a file that was given. */
  readonly base: ConfigPath;
  /** Of a file that was given: how many items of `applications` and `llm_configs` the files before it have. */
  readonly before: ReadonlyMap<string, number>;
}

/**
 * The config files that were given together with those their `llm_configs` name: one value, and for each path in it the file and place
 * it was written at.
 */
export class SourceTree {
  readonly problems: ConfigProblem[] = [];
  readonly warnings: ConfigProblem[] = [];
  /** Absolute paths of all files that were looked at, readable or not. */
  readonly files = new Set<string>();
  readonly #env: Environment;
  readonly #sources: Source[] = [];
  readonly #interpolated = new Set<string>();
  /** Paths with a problem: a second look at the same value would only repeat it. */
  readonly #told = new Set<string>();
  /** The files that were given, as they were named. */
  readonly given: readonly string[];
  #whole: { readonly value: unknown } | undefined;
  readonly #hash = createHash('sha256');

  constructor(given: readonly string[], env: Environment) {
    this.given = given;
    this.#env = env;
  }

  /** Of all that `read` has read, in hexadecimal: two trees of the same files that say the same have the same. */
  digest(): string {
    return this.#hash.copy().digest('hex');
  }

  get interpolated(): ReadonlySet<string> {
    return this.#interpolated;
  }

  /**
   * The value of all files, entries of `llm_configs` that name a file replaced by what is in it; undefined where a file cannot be read.
   * The files are read by the first call only.
   */
  read(): unknown {
    this.#whole ??= { value: this.#readAll() };
    return this.#whole.value;
  }

  #readAll(): unknown {
    let whole: unknown;
    let readable = true;
    const counts = new Map<string, number>();
    for (const file of this.given) {
      const value = this.#readFile(file, [], new Map(counts));
      readable &&= value !== undefined;
      if (this.given.length > 1 && value !== undefined && value !== null && !isMapping(value)) {
        this.#tell([], 'expected a mapping with llm_configs, applications or gateway', { file, line: 1, column: 1 });
        continue;
      }
      if (isMapping(value)) this.#readNamedFiles(value, file, counts);
      for (const key of joinedLists) {
        const list: unknown = isMapping(value) ? value[key] : undefined;
        if (Array.isArray(list)) counts.set(key, (counts.get(key) ?? 0) + list.length);
      }
      const own = this.#sources.findLast(({ base }) => base.length === 0);
      whole = whole === undefined ? value : joinValues(whole, value, [], (path) => this.#twice(path, own));
    }
    return readable ? whole : undefined;
  }

  problem(path: ConfigPath, message: string, where: Spot | Position = 'value'): void {
    if (this.#told.has(formatPath(path))) return;
    this.#tell(path, message, this.#place(path, where));
  }

  warning(path: ConfigPath, message: string): void {
    this.warnings.push(this.located(path, message));
  }

  /** Something to tell about the key at `path`. */
  located(path: ConfigPath, message: string): ConfigProblem {
    return { ...this.#place(path, 'key'), path: formatPath(path), message };
  }

  /** Absolute directory of the file that the value at `path` was written in. */
  directoryOf(path: ConfigPath): string {
    return this.#sourceOf(path)?.source.directory ?? '/';
  }

  #tell(path: ConfigPath, message: string, position: Position): void {
    this.#told.add(formatPath(path));
    this.problems.push({ ...position, path: formatPath(path), message });
  }

  /** A setting that an earlier file gives too. @param again the later file */
  #twice(path: ConfigPath, again: Source | undefined): void {
    const first = this.#sources.find((source) => source !== again && hasAll(source, path));
    if (first === undefined || again === undefined) return;
    const { file, line, column } = positionOf(first.source, path, 'key');
    this.#tell(path, `given in ${file}:${line}:${column} too; expected it in one file only`, positionOf(again.source, path, 'key'));
  }

  #place(path: ConfigPath, where: Spot | Position): Position {
    if (typeof where === 'object') return { file: where.file, line: where.line, column: where.column };
    const found = this.#sourceOf(path);
    if (found === undefined) return { file: this.given[0] ?? '', line: 1, column: 1 };
    return positionOf(found.source, within(found, path), where);
  }

  /** The innermost file that has `path`; of files that were given, the one that has most of it. */
  #sourceOf(path: ConfigPath): Source | undefined {
    const named = this.#sources.findLast(
      ({ base }) => base.length > 0 && base.length <= path.length && base.every((step, at) => step === path[at]),
    );
    if (named !== undefined) return named;
    const given = this.#sources.filter(({ base }) => base.length === 0);
    return given.reduce<Source | undefined>(
      (best, source) => (best === undefined || depth(source, path) > depth(best, path) ? source : best),
      undefined,
    );
  }

  /** Puts the contents of the files that entries name in their place. @param before items of the lists in the files before this one */
  #readNamedFiles(value: Readonly<Record<string, unknown>>, file: string, before: ReadonlyMap<string, number>): void {
    const offset = (key: string): number => before.get(key) ?? 0;
    this.#readEntries(value['llm_configs'], file, (index) => ['llm_configs', index + offset('llm_configs')]);
    const applications: unknown = value['applications'];
    for (const [index, app] of Array.isArray(applications) ? (applications as unknown[]).entries() : []) {
      const args: unknown = isMapping(app) ? app['args'] : undefined;
      if (!isMapping(args)) continue;
      const path = ['applications', index + offset('applications'), 'args'];
      this.#readEntries(args['llm_configs'], file, (entry) => [...path, 'llm_configs', entry]);
      // A mapping of the file's own value, which is filled in as a list is.
      const one: unknown[] = [args['llm_config']];
      this.#readEntries(one, file, () => [...path, 'llm_config']);
      if (typeof args['llm_config'] === 'string') Reflect.set(args, 'llm_config', one[0]);
    }
  }

  #readEntries(entries: unknown, namedBy: string, pathOf: (index: number) => ConfigPath): void {
    if (!Array.isArray(entries)) return;
    for (const [index, entry] of (entries as unknown[]).entries()) {
      if (typeof entry !== 'string' || entry === '') continue;
      const directory = dirname(namedBy);
      const file = entry.startsWith('/') || directory === '.' ? entry : join(directory, entry);
      (entries as unknown[])[index] = this.#readFile(file, pathOf(index), new Map());
    }
  }

  #readFile(file: string, base: ConfigPath, before: ReadonlyMap<string, number>): unknown {
    this.files.add(resolve(file));
    const found = readText(file);
    this.#hash.update(JSON.stringify([resolve(file), found]));
    if (found.kind === 'problem') {
      const { line, column, message } = found;
      // A file that cannot be opened is a mistake of whoever names it.
      const named = base.length > 0 && line === 1 && column === 1;
      if (named) this.problem(base, `${JSON.stringify(file)}: ${message}`);
      else this.#tell(base, message, { file, line, column });
      return undefined;
    }
    const service = rayServiceOf(found.text);
    if (service !== undefined) {
      const message = 'a RayService: its spec.serveConfigV2 is read, the rest of the manifest (cluster, image, secrets) has no effect here';
      this.warnings.push({ file, line: service.line, column: 1, path: formatPath(base), message });
    }
    const { source, problems } = parseYaml(service?.text ?? found.text, file);
    for (const { message, ...position } of problems) this.#tell(base, message, position);
    if (problems.length > 0) return undefined;
    this.#sources.push({ base, source, before });
    const whole = (path: ConfigPath): ConfigPath => moved(path, before, 1);
    const sink: ReadSink = {
      problem: (path, ...told) => this.problem(whole(path), ...told),
      warning: (path, message) => this.warning(whole(path), message),
    };
    const result = readValue(source, this.#env, base, sink);
    for (const path of result.interpolated) this.#interpolated.add(formatPath(whole(path)));
    return result.value;
  }
}

/** The path with the index of an application or model counted from another file's first (`sign` 1: of all files, −1: of this one). */
function moved(path: ConfigPath, before: ReadonlyMap<string, number>, sign: 1 | -1): ConfigPath {
  const [key, index, ...rest] = path;
  const offset = typeof key === 'string' ? before.get(key) : undefined;
  return key === undefined || offset === undefined || typeof index !== 'number' ? path : [key, index + sign * offset, ...rest];
}

/** A path of the whole as one of the file's own. */
function within({ base, before }: Source, path: ConfigPath): ConfigPath {
  return base.length > 0 ? path.slice(base.length) : moved(path, before, -1);
}

function depth(source: Source, path: ConfigPath): number {
  return depthOf(source.source, within(source, path));
}

function hasAll(source: Source, path: ConfigPath): boolean {
  return source.base.length === 0 && depth(source, path) === path.length;
}
