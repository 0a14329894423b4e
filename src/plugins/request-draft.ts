import type { NormalizedRequest } from '../core/request.ts';
import type { DroppedParam, EngineRequest } from './engine-plugin.ts';
import { type EnginePaths, openaiPath } from './openai-path.ts';

/**
 * A request on its way to an engine: the client's own bytes, of which top-level members are replaced, left out or added. What no change
 * touches keeps its bytes (integers beyond 2^53 among them), and a request without a change is not copied.
 */
export class RequestDraft {
  readonly request: NormalizedRequest;
  readonly #raw: Buffer;
  readonly #changes = new Map<string, unknown>();
  readonly #dropped: DroppedParam[] = [];

  constructor(request: NormalizedRequest) {
    this.request = request;
    this.#raw = Buffer.from(request.raw.buffer, request.raw.byteOffset, request.raw.byteLength);
  }

  has(name: string): boolean {
    return this.#changes.has(name) ? this.#changes.get(name) !== undefined : this.request.members.has(name);
  }

  /** A member's value as it stands now, not to be changed; undefined where there is none. Parses only that member, and once. */
  get(name: string): unknown {
    if (this.#changes.has(name)) return this.#changes.get(name);
    return this.request.value(name);
  }

  /** Whether some key in the client's bytes of a member may be, or begin with, `mark`: cheap, and true once too often. */
  mentions(name: string, mark: string): boolean {
    const member = this.request.members.get(name);
    if (member === undefined || member.kind === 'string') return false;
    const found = (text: string): boolean => {
      const at = this.#raw.indexOf(text, member.start, 'latin1');
      return at !== -1 && at < member.end;
    };
    // A letter of a key may be written as an escape.
    return found(mark) || found(String.raw`\u`);
  }

  set(name: string, value: unknown): void {
    this.#changes.set(name, value);
  }

  leaveOut(name: string): void {
    if (this.has(name)) this.#changes.set(name, undefined);
  }

  /** Leaves a parameter out because the engine cannot do what it asks for; the model's policy decides what the client is told. */
  drop(name: string, reason: string): void {
    this.leaveOut(name);
    this.#dropped.push({ name, reason });
  }

  toRequest(paths: EnginePaths = openaiPath): EngineRequest {
    // An operation without a path is refused before anything is written for the engine.
    return { path: paths[this.request.operation] ?? '', body: this.#write(), dropped: this.#dropped };
  }

  #write(): Uint8Array {
    if (this.#changes.size === 0) return this.request.raw;
    const { members } = this.request;
    const pieces: Uint8Array[] = [];
    for (const [name, member] of members) {
      if (this.#changes.has(name)) pieces.push(...written(name, this.#changes.get(name)));
      else pieces.push(this.#raw.subarray(member.keyStart, member.end));
    }
    for (const [name, value] of this.#changes) if (!members.has(name)) pieces.push(...written(name, value));
    const separated = pieces.flatMap((piece, at) => (at === 0 ? [piece] : [comma, piece]));
    return Buffer.concat([open, ...separated, close]);
  }
}

const open = Buffer.from('{');
const comma = Buffer.from(',');
const close = Buffer.from('}');

/** A member's bytes; none for a value that is left out. */
function written(name: string, value: unknown): readonly Uint8Array[] {
  return value === undefined ? [] : [Buffer.from(`${JSON.stringify(name)}:${JSON.stringify(value)}`)];
}
