import type { GatewayProcess } from '../../support/gateway-process.ts';
import type { CountingClient } from './client.ts';

/** A gateway that a row is about. */
export interface Subject {
  readonly gateway: GatewayProcess;
  readonly client: CountingClient;
  /** Descriptors it had when it was ready. */
  readonly baseline: number;
}
