import type { ByteSink } from './byte-sink.ts';

/** Digests that a store gives of a whole object, in lower-case hex. */
export interface Digests {
  readonly md5?: string;
  readonly sha256?: string;
  readonly crc32?: string;
}

export interface RemoteObject {
  /** Below the reference, with `/` between its parts; as the store gave it, so not to be trusted. */
  readonly path: string;
  /** What the store calls it. */
  readonly key: string;
  readonly sizeBytes: number;
  /** Changes whenever the content does; `''` where the store has no such thing. */
  readonly etag: string;
  readonly digests: Digests;
  /** The store can send it in parts. */
  readonly ranges: boolean;
}

export interface ByteRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/** One kind of store. Failures are told as `ArtifactError`; whatever waits ends with the signal. */
export interface Source {
  /** Everything below the reference, page by page. A reference to one object gives that object alone. */
  list(signal: AbortSignal): AsyncIterable<RemoteObject>;
  /** Names directly below a reference, each once: of folders, with a `/` behind, and of objects. Left out: it has no such thing. */
  names?(signal: AbortSignal): AsyncIterable<string>;
  /**
   * Puts the bytes of `range` into the sink, in order, and no other: a store that would send other ones, or those of a changed object, is an error
   * (`changed`). Aborting closes the connection.
   */
  read(object: RemoteObject, range: ByteRange, sink: ByteSink, signal: AbortSignal): Promise<void>;
  /** Digests that the listing does not have; asked for once, before a large object is fetched. */
  digests?(object: RemoteObject, signal: AbortSignal): Promise<Digests>;
  close(): void;
}

/** The environment that credentials and endpoints come from: the model's own variables above the process's. */
export type SourceEnv = Readonly<Record<string, string | undefined>>;
