import type { AdapterName, ModelName } from './ids.ts';

/** What a client asks for; `src/gateway/operations.ts` says where and how. */
export type Operation =
  | 'chat'
  | 'completions'
  | 'embeddings'
  | 'rerank'
  | 'score'
  | 'tokenize'
  | 'detokenize'
  | 'responses'
  | 'messages'
  | 'count_tokens'
  | 'transcriptions';

export type JsonKind = 'string' | 'number' | 'object' | 'array' | 'boolean' | 'null';

/** A top-level member of a JSON object: what it is and where its bytes stand. */
export interface Member {
  readonly kind: JsonKind;
  /** First byte of the key's opening quote. */
  readonly keyStart: number;
  /** First byte of the value, and the first behind it. */
  readonly start: number;
  readonly end: number;
  /** Whether some key inside the value, at any depth, ends in `url`. */
  readonly namesUrl: boolean;
}

/** A request past the edge: its body is valid JSON (scanned, not necessarily parsed) or a form, and names a model we serve. */
export interface NormalizedRequest {
  readonly operation: Operation;
  readonly model: ModelName;
  /** The LoRA adapter that is to answer; undefined: the base. */
  readonly adapter?: AdapterName;
  /** The client's own words for the model, given back in replies. */
  readonly requestedModel: string;
  readonly stream: boolean;
  /** The body as it came; no top-level key stands twice in it. */
  readonly raw: Uint8Array;
  /** Set for a form (`multipart/form-data`): its Content-Type, boundary included, the names of its parts, and where the value of its part `model` stands. */
  readonly form?: {
    readonly contentType: string;
    readonly names: readonly string[];
    readonly model: { readonly start: number; readonly end: number } | undefined;
  };
  /** Its top-level members by their decoded keys, in the order of the body; none of a form. */
  readonly members: ReadonlyMap<string, Member>;
  /** A top-level member that is a string; undefined where there is none. Parses nothing else. */
  text(name: string): string | undefined;
  /** A top-level member parsed, on first use; the same value every time, undefined where there is none. Treat as read-only. */
  value(name: string): unknown;
  /** Members that were left out of the body, because the model's engine does not know them. */
  readonly unknown?: readonly string[];
  /** The body parsed, on first use; the same object every time; `{}` of a form. Treat as read-only. */
  body(): Readonly<Record<string, unknown>>;
}
