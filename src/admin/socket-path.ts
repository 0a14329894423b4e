import { join } from 'node:path';

/** Path of the socket on which the owner of a state directory reaches the gateway that runs on it. */
export function socketPath(stateDir: string): string {
  return join(stateDir, 'admin.sock');
}
