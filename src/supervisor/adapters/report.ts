import type { AdapterName } from '../../core/ids.ts';
import type { AdapterTotals } from './counts.ts';
import type { Resident } from './residents.ts';

/** An adapter on a replica, for whoever looks. */
export interface AdapterReport {
  readonly adapter: AdapterName;
  /** Index of the replica. */
  readonly replica: number;
  readonly state: Resident['state'];
  readonly revision: string;
  readonly inFlight: number;
  /** Uses of the adapter of late, on all replicas; half of one counts after ten minutes. */
  readonly heat: number;
}

/** The adapters of one model. */
export interface AdaptersReport extends AdapterTotals {
  readonly resident: readonly AdapterReport[];
  /** Those that requests wait for; `crowded`: because all others on all replicas are in use. */
  readonly waiting: readonly { readonly adapter: AdapterName; readonly crowded: boolean }[];
  /** Adapters that a replica may have at a time. */
  readonly maxPerReplica: number;
  /** How many there were when the source was looked at last; undefined before it was. */
  readonly found: number | undefined;
}
