import { parentPort } from 'node:worker_threads';
import { messageOf } from '../core/errors.ts';
import { ArtifactError } from './artifact-error.ts';
import { RangeReceiver } from './range-receiver.ts';
import type { RangeJob } from './range-receiver.ts';
import type { FromReceiver, JobEnd, ToReceiver } from './receiver-message.ts';

if (parentPort === null) throw new Error('receiver-thread.ts runs only as a worker thread');
const control = parentPort;
const send = (message: FromReceiver): void => control.postMessage(message);
const receiver = new RangeReceiver();
/** Of the jobs that run. */
const running = new Map<number, AbortController>();

async function endOf(id: number, job: RangeJob, signal: AbortSignal): Promise<JobEnd> {
  try {
    const received = await receiver.receive(
      job,
      {
        heard: (bytes) => send({ id, kind: 'heard', bytes }),
        written: (segment, bytes) => send({ id, kind: 'written', segment, bytes }),
      },
      signal,
    );
    return { received };
  } catch (thrown) {
    return { thrown: { message: messageOf(thrown), problem: thrown instanceof ArtifactError ? thrown.problem : undefined } };
  }
}

async function run(id: number, job: RangeJob): Promise<void> {
  const controller = new AbortController();
  running.set(id, controller);
  const end = await endOf(id, job, controller.signal);
  running.delete(id);
  send({ id, kind: 'ended', end });
}

control.on('message', (message: ToReceiver) => {
  if (message.kind === 'receive') void run(message.id, message.job);
  else running.get(message.id)?.abort(new Error('the fetch was given up'));
});
