/** A Kubernetes manifest that has a Ray Serve config in it. */
export interface RayService {
  /** The config, at its own lines and columns: all else of the manifest is blank. */
  readonly text: string;
  /** Of `kind: RayService`; from 1. */
  readonly line: number;
}

const kind = /^kind:\s*["']?RayService["']?\s*(?:#.*)?$/u;
const holder = /^(\s*)serveConfigV2:\s*\|[-+0-9]*\s*(?:#.*)?$/u;

/**
 * The config in KubeRay's RayService, which may be one document of several; undefined for any other text. Found by its lines, not by
 * parsing: what a manifest has besides (tags, other documents) is Kubernetes' concern. In a manifest the config is always a literal block,
 * whose indentation YAML allows at the top of a document too.
 */
export function rayServiceOf(text: string): RayService | undefined {
  const lines = text.split('\n');
  const at = lines.findIndex((line) => kind.test(line.trimEnd()));
  if (at === -1) return undefined;
  const [first, last] = documentAround(lines, at);
  const key = lines.findIndex((line, index) => index >= first && index < last && holder.test(line.trimEnd()));
  if (key === -1) return undefined;
  const indent = holder.exec((lines[key] ?? '').trimEnd())?.[1]?.length ?? 0;
  const after = lines.findIndex((line, index) => index > key && line.trim() !== '' && line.search(/\S/u) <= indent);
  const end = after === -1 ? lines.length : after;
  return { text: lines.map((line, index) => (index > key && index < end ? line : '')).join('\n'), line: at + 1 };
}

const begins = (line: string): boolean => /^---(?:\s|$)/u.test(line);

/** Indices of the first line of a document and of the one after its last. */
function documentAround(lines: readonly string[], at: number): readonly [number, number] {
  const first = lines.findLastIndex((line, index) => index < at && begins(line)) + 1;
  const next = lines.findIndex((line, index) => index > at && begins(line));
  return [first, next === -1 ? lines.length : next];
}
