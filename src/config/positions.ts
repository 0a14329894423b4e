import { isAlias, isMap, isNode, isScalar, isSeq, type Document, type LineCounter, type Node, type Pair, type YAMLMap } from 'yaml';
import type { ConfigPath } from './problems.ts';

/** A parsed file. */
export interface SourceDocument {
  /** As messages show it. */
  readonly file: string;
  /** Absolute; relative paths in the file start here. */
  readonly directory: string;
  readonly document: Document.Parsed;
  readonly lines: LineCounter;
}

export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** What to point at: the value, or the key it stands under. */
export type Spot = 'value' | 'key';

/** The text of a mapping's key; every key is text (`stringKeys`). */
export function keyText(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : '';
}

/** Whether the pair is YAML's merge key, whose mappings are taken in as if written here. */
export function isMerge(pair: Pair): boolean {
  return isScalar(pair.key) && pair.key.value === '<<' && pair.key.type === 'PLAIN';
}

/** Line and column of what `path` names; of the nearest parent there is, where the path leads to nothing. */
export function positionOf(source: SourceDocument, path: ConfigPath, spot: Spot): Position {
  let node: Node | null | undefined = source.document.contents;
  let offset = startOf(node) ?? 0;
  for (const [at, step] of path.entries()) {
    const found = child(source.document, node, step);
    if (found === undefined) break;
    const wanted = spot === 'key' && at === path.length - 1 ? (found.key ?? found.value) : emptyToKey(found);
    offset = startOf(wanted) ?? offset;
    node = found.value;
  }
  return at(source, offset);
}

/** How many steps of `path` lead to something that is written in the file. */
export function depthOf(source: SourceDocument, path: ConfigPath): number {
  let node: Node | null = source.document.contents;
  for (const [depth, step] of path.entries()) {
    const found = child(source.document, node, step);
    if (found === undefined) return depth;
    node = found.value;
  }
  return path.length;
}

/** Line and column of a character of the file. */
export function at(source: SourceDocument, offset: number): Position {
  const { line, col } = source.lines.linePos(offset);
  return { file: source.file, line: Math.max(1, line), column: Math.max(1, col) };
}

interface Child {
  readonly key: Node | undefined;
  readonly value: Node | null;
}

/** A value that is not written (`key:`) has no place of its own. */
function emptyToKey({ key, value }: Child): Node | null | undefined {
  return isScalar(value) && value.value === null && value.source === '' ? (key ?? value) : (value ?? key);
}

function startOf(node: Node | null | undefined): number | undefined {
  return node?.range?.[0];
}

function child(document: Document.Parsed, parent: Node | null, step: string | number): Child | undefined {
  const node = isAlias(parent) ? parent.resolve(document) : parent;
  if (isSeq(node) && typeof step === 'number') {
    const item = node.items[step];
    return isNode(item) ? { key: undefined, value: item } : undefined;
  }
  return isMap(node) ? inMap(document, node, String(step)) : undefined;
}

function inMap(document: Document.Parsed, map: YAMLMap, key: string): Child | undefined {
  const pair = map.items.find((item) => keyText(item) === key && !isMerge(item));
  if (pair !== undefined) return { key: isNode(pair.key) ? pair.key : undefined, value: isNode(pair.value) ? pair.value : null };
  for (const merged of map.items.filter(isMerge)) {
    const sources: readonly unknown[] = isSeq(merged.value) ? merged.value.items : [merged.value];
    for (const from of sources) {
      const found = isNode(from) ? child(document, from, key) : undefined;
      if (found !== undefined) return found;
    }
  }
  return undefined;
}
