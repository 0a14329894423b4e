import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import pino from 'pino';
import { GatewayError, messageOf } from './errors.ts';

/** Counts, by thread, what `openLogDestination` has dropped. */
export const droppedLinesMetric = {
  name: 'roundhouse_log_lines_dropped_total',
  help: "Lines of the gateway's own log that could not be written, for want of space on the disk or for another reason.",
} as const;

/** What waits for the disk to have room again. */
const longestBacklogBytes = 65_536;

/**
 * Where a thread's log lines go. A line that cannot be written is kept for a while, then dropped: without a listener, pino's error (a full
 * disk is enough) would end the process, and with it all that it serves.
 * @param dest a file, which is created with its folder, or a descriptor.
 * @throws GatewayError `state_unusable` for a file that cannot be written from the start.
 * @param dropped called for each line that is given up.
 */
export function openLogDestination(dest: string | number, dropped: () => void): ReturnType<typeof pino.destination> {
  if (typeof dest === 'string') proveWritable(dest);
  const destination = pino.destination({ dest, sync: true, mkdir: true, maxLength: longestBacklogBytes });
  // There is nowhere left to tell it; the count does.
  destination.on('error', () => undefined);
  destination.on('drop', dropped);
  return destination;
}

/** pino would try to open it for ever. */
function proveWritable(file: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    closeSync(openSync(file, 'a'));
  } catch (error) {
    throw new GatewayError('state_unusable', `The log ${file} cannot be written: ${messageOf(error)} (gateway.log.file).`, {
      cause: error,
    });
  }
}
