/**
 * Loaded into each thread of a gateway (`--import`). Each SIGUSR2 moves what `Date` says by the next of `CLOCK_JUMPS_MS`, in all threads; a line
 * on stderr tells of it, `{"clock":{"thread":0,"shiftMs":3600000}}`. What the machine's own clock would do, seen from inside.
 */
import { isMainThread, threadId } from 'node:worker_threads';

const jumpsMs = (process.env['CLOCK_JUMPS_MS'] ?? '').split(',').map(Number);
const RealDate = Date;
let shiftMs = 0;

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args: unknown[], newTarget) =>
    Reflect.construct(target, args.length === 0 ? [RealDate.now() + shiftMs] : args, newTarget) as Date,
  apply: () => new RealDate(RealDate.now() + shiftMs).toString(),
  get: (target, name, receiver) => (name === 'now' ? () => RealDate.now() + shiftMs : (Reflect.get(target, name, receiver) as unknown)),
});

const channel = new BroadcastChannel('clock-jump');
// Node's type of it lacks `unref`: it must not keep a thread alive.
(channel as unknown as { unref(): void }).unref();

function jump(to: number): void {
  shiftMs = to;
  process.stderr.write(`${JSON.stringify({ clock: { thread: threadId, shiftMs } })}\n`);
}

if (isMainThread) {
  process.on('SIGUSR2', () => {
    const to = shiftMs + (jumpsMs.shift() ?? 0);
    channel.postMessage(to);
    jump(to);
  });
} else {
  channel.addEventListener('message', (event) => jump((event as Event & { readonly data: number }).data));
}
