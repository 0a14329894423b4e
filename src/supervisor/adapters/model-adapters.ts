import type { AdapterName } from '../../core/ids.ts';
import type { AdapterReport, AdaptersReport } from './report.ts';

/** The owner of a model's adapters, whenever its engine takes them. */
export interface ModelAdapters {
  /** A worker says whether requests for an adapter wait there. */
  demand(worker: number, adapter: AdapterName, waiting: boolean): void;
  /** A worker is gone, with all who waited in it. */
  forgetWorker(worker: number): void;
  /** To be called whenever a slot may have become quiet. */
  settle(): void;
  /** Whether `settle()` is waited for. */
  readonly unsettled: boolean;
  /** Brings an adapter, or its new weights, without a request. @throws GatewayError `adapter_not_found`, `adapter_invalid`, `adapter_unavailable` */
  load(adapter: AdapterName): Promise<void>;
  /** Takes an adapter from all replicas, once its requests have ended; says from how many. It comes back when it is asked for. */
  unload(adapter: AdapterName): number;
  /** Looks for new adapters and new weights. Never rejects. */
  refresh(): Promise<void>;
  report(): readonly AdapterReport[];
  waitingFor(): AdaptersReport['waiting'];
  close(): void;
}
