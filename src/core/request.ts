import type { ModelName } from './ids.ts';

export type Operation = 'chat' | 'completions';

/** A request past the edge: its body is valid JSON (scanned, not necessarily parsed) and names a model we serve. */
export interface NormalizedRequest {
  readonly operation: Operation;
  readonly model: ModelName;
  /** The client's own words for the model, given back in replies. */
  readonly requestedModel: string;
  readonly stream: boolean;
  /** The body as it came; no top-level key stands twice in it. */
  readonly raw: Uint8Array;
  /** A top-level member that is a string; undefined where there is none. Parses nothing else. */
  text(name: string): string | undefined;
  /** The body parsed, on first use; the same object every time. Treat as read-only. */
  body(): Readonly<Record<string, unknown>>;
}
