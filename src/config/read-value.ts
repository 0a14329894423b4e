import { isAlias, isMap, isNode, isScalar, isSeq, type Node, type Pair, type Scalar, type YAMLMap, type YAMLSeq } from 'yaml';
import { interpolate, spelledOut, type Environment } from './interpolate.ts';
import { at, isMerge, keyText, type Position, type SourceDocument, type Spot } from './positions.ts';
import type { ConfigPath } from './problems.ts';

const maxDepth = 50;
/** Values a file may have once its aliases are written out; a thousand models have some 20 000. */
const maxValues = 200_000;

export interface ReadSink {
  /** Without `where`, the place of the value at `path`. */
  problem(path: ConfigPath, message: string, where?: Spot | Position): void;
  warning(path: ConfigPath, message: string): void;
}

export interface ReadResult {
  readonly value: unknown;
  /** Paths of the scalars in which something was filled in. */
  readonly interpolated: readonly ConfigPath[];
}

/**
 * The plain data of a document, environment variables filled in. Tags, duplicate keys, unknown or circular aliases and aliases that
 * multiply beyond reason are told to `sink`; the rest is still read, so that all problems of a file can be shown at once.
 */
export function readValue(source: SourceDocument, env: Environment, base: ConfigPath, sink: ReadSink): ReadResult {
  const reader = new ValueReader(source, env, sink);
  return { value: reader.read(source.document.contents, base), interpolated: reader.interpolated };
}

class ValueReader {
  readonly interpolated: ConfigPath[] = [];
  readonly #source: SourceDocument;
  readonly #env: Environment;
  readonly #sink: ReadSink;
  /** Collections being read: one met again inside itself is circular. */
  readonly #open = new Set<Node>();
  #values = 0;

  constructor(source: SourceDocument, env: Environment, sink: ReadSink) {
    this.#source = source;
    this.#env = env;
    this.#sink = sink;
  }

  read(node: Node | null | undefined, path: ConfigPath): unknown {
    this.#values += 1;
    if (this.#values > maxValues) {
      const message = `the file has more than ${maxValues} values once its aliases are written out; expected a config file`;
      if (this.#values === maxValues + 1) this.#sink.problem(path, message);
      return null;
    }
    if (isAlias(node)) return this.#aliased(node.source, node.resolve(this.#source.document), path);
    if (!isNode(node)) return null;
    if (node.tag !== undefined)
      this.#sink.problem(path, `the tag ${node.tag.replace('tag:yaml.org,2002:', '!!')} is not accepted; expected plain YAML without tags`);
    if (isScalar(node)) return this.#scalar(node, path);
    return this.#collection(node, path);
  }

  #aliased(name: string, target: Node | undefined, path: ConfigPath): unknown {
    if (target !== undefined) return this.read(target, path);
    this.#sink.problem(path, `the alias *${name} has no anchor; expected &${name} before it`);
    return null;
  }

  #collection(node: Node, path: ConfigPath): unknown {
    if (this.#open.has(node)) {
      this.#sink.problem(path, 'an alias to something that contains the alias itself; expected its values written out');
      return null;
    }
    if (this.#open.size >= maxDepth) {
      this.#sink.problem(path, `nested more deeply than any config is; expected at most ${maxDepth} levels`);
      return null;
    }
    this.#open.add(node);
    const value = isSeq(node) ? this.#list(node, path) : isMap(node) ? this.#mapping(node, path) : null;
    this.#open.delete(node);
    return value;
  }

  #list(list: YAMLSeq, path: ConfigPath): unknown[] {
    return list.items.map((item, index) => this.read(isNode(item) ? item : null, [...path, index]));
  }

  #mapping(map: YAMLMap, path: ConfigPath): Record<string, unknown> {
    const value: Record<string, unknown> = {};
    const seen = new Map<string, Pair>();
    for (const pair of map.items) {
      if (isMerge(pair)) continue;
      const key = keyText(pair);
      const first = seen.get(key);
      if (first !== undefined) this.#duplicate(key, first, pair, path);
      else if (key === '__proto__') this.#sink.problem([...path, key], 'this name is not accepted as a key; expected another', 'key');
      else value[key] = this.read(isNode(pair.value) ? pair.value : null, [...path, key]);
      seen.set(key, first ?? pair);
    }
    for (const pair of map.items.filter(isMerge)) this.#merge(pair, value, path);
    return value;
  }

  /** Keys of the merged mappings that are not written here; of several mappings the first has its way. */
  #merge(pair: Pair, into: Record<string, unknown>, path: ConfigPath): void {
    const from = this.read(isNode(pair.value) ? pair.value : null, path);
    for (const mapping of Array.isArray(from) ? (from as unknown[]) : [from]) {
      if (typeof mapping !== 'object' || mapping === null || Array.isArray(mapping)) {
        this.#sink.problem([...path, '<<'], 'expected an alias to a mapping after <<');
        continue;
      }
      for (const [key, value] of Object.entries(mapping)) if (!Object.hasOwn(into, key)) into[key] = value;
    }
  }

  #duplicate(key: string, first: Pair, again: Pair, path: ConfigPath): void {
    const place = (pair: Pair): Position => at(this.#source, isNode(pair.key) ? (pair.key.range?.[0] ?? 0) : 0);
    const message = `the key ${JSON.stringify(key)} stands twice in this mapping, first in line ${place(first).line}; expected it once`;
    this.#sink.problem([...path, key], message, place(again));
  }

  #scalar(node: Scalar, path: ConfigPath): unknown {
    const { value } = node;
    if (typeof value !== 'string') return typeof value === 'bigint' ? Number(value) : value;
    this.#warnYesNo(node, value, path);
    const filled = interpolate(value, this.#env);
    if (filled === undefined) return value;
    for (const problem of filled.problems) this.#sink.problem(path, problem);
    this.interpolated.push(path);
    // Where anything may stand nobody will say later what is wanted: an unquoted variable is what it spells.
    const free = path.includes('engine_kwargs') && filled.whole && node.type === 'PLAIN';
    return free ? spelledOut(filled.text) : filled.text;
  }

  #warnYesNo(node: Scalar, value: string, path: ConfigPath): void {
    if (node.type !== 'PLAIN' || !/^(?:yes|no|on|off)$/i.test(value)) return;
    const message = `${value} is text here (YAML 1.2), but true or false to YAML 1.1 readers such as Ray's; write true or false, or quote it`;
    this.#sink.warning(path, message);
  }
}
