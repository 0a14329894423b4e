/**
 * Loaded into each thread of a gateway (`--import`, with `--expose-gc`). On SIGUSR2 all of them collect their garbage, and the main one writes one
 * line on stderr: `{"memory":{"round":1,"keptBytes":…,"residentKb":…}}`.
 */
import { isMainThread, threadId } from 'node:worker_threads';
import type { Worker } from 'node:worker_threads';

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

type Said =
  | { readonly kind: 'here' }
  | { readonly kind: 'collect'; readonly round: number }
  | { readonly kind: 'kept'; readonly round: number; readonly thread: number; readonly bytes: number };

const say = (said: Said): void => channel.postMessage(said);

/** Node's types know no data of this event. */
const hear = (listener: (said: Said) => void): void =>
  channel.addEventListener('message', (event) => listener((event as Event & { readonly data: Said }).data));

/** Answers for this thread alone. */
function answer(): void {
  hear((said) => {
    if (said.kind === 'collect') say({ kind: 'kept', round: said.round, thread: threadId, bytes: keptBytes() });
  });
  say({ kind: 'here' });
}

/** Asks all threads there are by then, and tells of them together, once a round. */
function ask(): void {
  const threads = new Set<number>();
  const kept = new Map<number, number>();
  let round = 0;
  let told = 0;
  const tell = (): void => {
    if (told === round || ![...threads].every((thread) => kept.has(thread))) return;
    told = round;
    const bytes = [...threads].reduce((sum, thread) => sum + (kept.get(thread) ?? 0), keptBytes());
    const line = { round, keptBytes: bytes, residentKb: Math.round(process.memoryUsage.rss() / 1024) };
    process.stderr.write(`${JSON.stringify({ memory: line })}\n`);
  };
  // Known of from its first moment on: one that cannot hear yet is waited for all the same.
  process.on('worker', (worker: Worker) => {
    const { threadId: thread } = worker;
    threads.add(thread);
    worker.once('exit', () => {
      threads.delete(thread);
      tell();
    });
  });
  hear((said) => {
    if (said.kind === 'here' && told < round) say({ kind: 'collect', round });
    if (said.kind !== 'kept' || said.round !== round) return;
    kept.set(said.thread, said.bytes);
    tell();
  });
  process.on('SIGUSR2', () => {
    round += 1;
    kept.clear();
    say({ kind: 'collect', round });
    tell();
  });
}

if (isMainThread) ask();
else answer();
