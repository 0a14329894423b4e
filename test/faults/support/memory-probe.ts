/**
 * Loaded into each thread of a gateway (`--import`, with `--expose-gc`). On SIGUSR2 all of them collect their garbage, and the main one writes a
 * line on stderr: `{"memory":{"round":1,"keptBytes":…,"residentKb":…}}`.
 */
import { isMainThread, threadId } from 'node:worker_threads';

const channel = new BroadcastChannel('memory-probe');
// Node's type of it lacks `unref`: it must not keep a thread alive.
(channel as unknown as { unref(): void }).unref();

/** What is left on this thread's heap, and outside of it for its objects, in bytes. */
function keptBytes(): number {
  // What a first collection lets go of may free more.
  for (let time = 0; time < 3; time += 1) globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

interface Said {
  readonly kind: 'here' | 'collect' | 'kept';
  readonly thread?: number;
  readonly bytes?: number;
}

/** Node's types know no data of this event. */
const said = (event: Event): Said => (event as Event & { readonly data: Said }).data;

/** Writes the line, once all threads have said what they keep. */
function tell(round: { number: number; kept: Map<number, number> }, threads: Set<number>): void {
  if (round.kept.size < threads.size) return;
  const kept = [...round.kept.values()].reduce((sum, bytes) => sum + bytes, keptBytes());
  const line = { round: round.number, keptBytes: kept, residentKb: Math.round(process.memoryUsage.rss() / 1024) };
  process.stderr.write(`${JSON.stringify({ memory: line })}\n`);
}

if (isMainThread) {
  const threads = new Set<number>();
  const round = { number: 0, kept: new Map<number, number>() };
  channel.addEventListener('message', (event) => {
    const { kind, thread = 0, bytes = 0 } = said(event);
    if (kind === 'here') threads.add(thread);
    if (kind !== 'kept') return;
    round.kept.set(thread, bytes);
    tell(round, threads);
  });
  process.on('SIGUSR2', () => {
    round.number += 1;
    round.kept.clear();
    channel.postMessage({ kind: 'collect' } satisfies Said);
  });
} else {
  channel.postMessage({ kind: 'here', thread: threadId } satisfies Said);
  channel.addEventListener('message', (event) => {
    if (said(event).kind === 'collect') channel.postMessage({ kind: 'kept', thread: threadId, bytes: keptBytes() } satisfies Said);
  });
}
