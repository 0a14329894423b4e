import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayError } from '../core/errors.ts';
import { LineSplitter } from '../supervisor/providers/line-splitter.ts';
import type { ModelReport } from '../supervisor/report.ts';
import type { LogLine } from './api.ts';
import { replicasMeant } from './target.ts';

export interface LogRequest {
  readonly target: string | undefined;
  /** Of each log that is there already, from its end. */
  readonly lines: number;
  readonly follow: boolean;
}

interface Source {
  readonly replica: string;
  readonly file: string;
}

interface Reading {
  offset: number;
  readonly splitter: LineSplitter;
}

const pollMs = 200;
const chunkBytes = 65_536;
/** Of a log that is there already, no more than its last part is looked at. */
const tailBytes = 4 * 1024 * 1024;

/** The logs that a target means. @throws GatewayError `model_not_found` */
export function logSources(models: readonly ModelReport[], target: string | undefined): readonly Source[] {
  return replicasMeant(models, target).flatMap(({ model, report: { index, logFile } }) =>
    logFile === undefined ? [] : [{ replica: `${model} #${index}`, file: logFile }],
  );
}

/** What a log has beyond `reading.offset`, as lines. A log that has gone gives none: its replica was replaced, or it was pruned. */
async function newLines(file: string, reading: Reading): Promise<string[]> {
  const handle = await open(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (handle === undefined) return [];
  try {
    const lines: string[] = [];
    const buffer = Buffer.alloc(chunkBytes);
    const { size } = await handle.stat();
    if (size < reading.offset) reading.offset = 0;
    while (reading.offset < size) {
      const { bytesRead } = await handle.read(buffer, 0, chunkBytes, reading.offset);
      if (bytesRead === 0) break;
      reading.offset += bytesRead;
      lines.push(...reading.splitter.push(buffer.subarray(0, bytesRead)));
    }
    return lines;
  } finally {
    await handle.close();
  }
}

async function beginning(file: string): Promise<Reading> {
  const handle = await open(file).catch(() => undefined);
  const size = (await handle?.stat())?.size ?? 0;
  await handle?.close();
  const splitter = new LineSplitter();
  const offset = Math.max(0, size - tailBytes);
  if (offset > 0) splitter.gap();
  return { offset, splitter };
}

/**
 * Lines of replicas' logs: first the last ones of each, then, with `follow`, new ones as they come, of replicas that come later too.
 * Ends with `signal`.
 */
export async function* streamLogs(
  status: () => readonly ModelReport[],
  { target, lines, follow }: LogRequest,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  const readings = new Map<string, Reading>();
  for (let first = true; !signal.aborted; first = false) {
    const sources = first ? logSources(status(), target) : stillThere(status(), target);
    for (const { replica, file } of sources) {
      const known = readings.get(file);
      const reading = known ?? (await beginning(file));
      readings.set(file, reading);
      const found = await newLines(file, reading);
      if (!follow) found.push(...reading.splitter.end());
      for (const line of first ? found.slice(Math.max(0, found.length - lines)) : found) yield { replica, line };
    }
    if (!follow) return;
    await sleep(pollMs, undefined, { signal }).catch(() => undefined);
  }
}

/** As `logSources`, for a target that was there once. */
function stillThere(models: readonly ModelReport[], target: string | undefined): readonly Source[] {
  try {
    return logSources(models, target);
  } catch (error) {
    if (error instanceof GatewayError) return [];
    throw error;
  }
}
