import type { AdapterName } from '../../core/ids.ts';
import type { FetchedAdapter } from './files.ts';

/** Where a model's adapters come from. */
export interface AdapterSource {
  /**
   * Its present files on this machine, fetched if need be; concurrent calls share the work. Whoever calls must `release()` them.
   * @throws GatewayError `adapter_not_found`, `adapter_invalid`, `adapter_unavailable`
   */
  fetch(adapter: AdapterName, signal: AbortSignal): Promise<FetchedAdapter>;
  /** The adapter that engines know by `handle`, where its files are still here: to be released too. Never throws. */
  known(handle: string, signal: AbortSignal): Promise<{ readonly adapter: AdapterName; readonly files: FetchedAdapter } | undefined>;
  /** Names of all there are, sorted, as far as can be told. @throws GatewayError `adapter_unavailable` */
  list(signal: AbortSignal): Promise<readonly AdapterName[]>;
}
