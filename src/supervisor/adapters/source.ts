import type { AdapterName } from '../../core/ids.ts';
import type { FetchedAdapter } from './residents.ts';

/** Where a model's adapters come from. */
export interface AdapterSource {
  /**
   * Its present files on this machine, fetched if need be; concurrent calls share the work.
   * @throws GatewayError `adapter_not_found`, `adapter_invalid`, `adapter_unavailable`
   */
  fetch(adapter: AdapterName, signal: AbortSignal): Promise<FetchedAdapter>;
  /** The adapter whose present revision engines know by `handle`, where there is one. Never throws. */
  known(handle: string): Promise<{ readonly adapter: AdapterName; readonly files: FetchedAdapter } | undefined>;
}
