import type { Access } from './access.ts';
import type { ErrorCode } from './errors.ts';
import type { AdapterName, ModelName } from './ids.ts';
import type { RoutingTable } from './table.ts';

/** Which pages may use the API from a browser. */
export interface CorsSettings {
  /** Origins; `*` for any, or within one for subdomains or the port. Undefined: where keys are set any, else those of the user's own machine. */
  readonly allowedOrigins: readonly string[] | undefined;
  /** How long a browser may remember that it may. */
  readonly maxAgeS: number;
}

/** How images that requests name by a URL are fetched. */
export interface MediaSettings {
  /** From whom: all of the public internet and `allowedHosts`, these alone, or nobody. */
  readonly fetch: 'public' | 'listed' | 'none';
  /** Lower case, without brackets; fetched from although they are in a private network. */
  readonly allowedHosts: readonly string[];
  /** Of one request. */
  readonly maxImages: number;
  /** Of one image, fetched or in a data URL. */
  readonly maxImageBytes: number;
  /** Of all images fetched for a request. */
  readonly maxTotalBytes: number;
  /** For all images of a request. */
  readonly timeoutMs: number;
}

/** What a worker needs besides the routing table. */
export interface GatewaySettings {
  readonly limits: {
    readonly maxBodyBytes: number;
    /** Of a form with a recording. */
    readonly maxMediaBodyBytes: number;
    /** Time a client may take to send the headers of its request. */
    readonly headersTimeoutMs: number;
    /** Time a client may take to send its request completely. */
    readonly requestTimeoutMs: number;
    readonly maxConnections: number;
    /** Wrong keys an address may try; undefined: any number. */
    readonly failedAuthPerMinute: number | undefined;
  };
  readonly cors: CorsSettings;
  readonly media: MediaSettings;
  readonly client: {
    /** Silence towards the client of a stream after which it gets a comment. */
    readonly heartbeatMs: number;
    /** Time a client may leave unread what was written to it. */
    readonly writeStallMs: number;
    /** Silence on a connection after which the system asks whether the client's machine is still there. */
    readonly keepAliveMs: number;
  };
  /** Whether requests and tokens are counted by the name of their key. */
  readonly metricsByKey: boolean;
  /** Whether replies tell which replica gave them, and why it was picked. */
  readonly debugHeaders: boolean;
  readonly access: Access;
}

/** Whether any request of a worker waits for an adapter. */
export interface AdapterDemand {
  readonly model: ModelName;
  readonly adapter: AdapterName;
  readonly waiting: boolean;
}

export type ToWorker =
  | { readonly kind: 'table'; readonly table: RoutingTable }
  /** Holds for every request from then on: whole, never a patch. */
  | { readonly kind: 'access'; readonly access: Access }
  /** Which adapters of a model there are, loaded or not: names, sorted, with a line feed between them; empty: none. */
  | { readonly kind: 'adapters'; readonly model: ModelName; readonly names: string }
  /** Answers those who wait for an adapter: it will not come. */
  | {
      readonly kind: 'refuse';
      readonly model: ModelName;
      readonly adapter: AdapterName;
      readonly code: ErrorCode;
      readonly message: string;
    }
  /** Asks for a `metrics` answer with the same id. */
  | { readonly kind: 'scrape'; readonly id: number }
  /** The end is near: no longer ready, so that balancers look elsewhere, and still taking what comes. */
  | { readonly kind: 'announce-end' }
  | { readonly kind: 'drain'; readonly graceMs: number };

export type ToControl =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'applied'; readonly version: number }
  /** Sent whenever it changes. */
  | ({ readonly kind: 'adapter-demand' } & AdapterDemand)
  | { readonly kind: 'metrics'; readonly id: number; readonly metrics: unknown }
  /** The first request of a worker waits for a model that has no replica. */
  | { readonly kind: 'demand'; readonly model: ModelName }
  | { readonly kind: 'drained' }
  | { readonly kind: 'fatal'; readonly code: ErrorCode; readonly message: string };
