import { parentPort } from 'node:worker_threads';
import { GatewayError, messageOf } from '../core/errors.ts';
import { ArtifactError } from './artifact-error.ts';
import { RangeReceiver } from './range-receiver.ts';
import type { RangeJob } from './range-receiver.ts';
import type { FromReceiver, JobEnd, ThrownInThread, ToReceiver } from './receiver-message.ts';

if (parentPort === null) throw new Error('receiver-thread.ts runs only as a worker thread');
const control = parentPort;
const send = (message: FromReceiver): void => control.postMessage(message);
const receiver = new RangeReceiver();
/** Of the jobs that run. */
const running = new Map<number, AbortController>();

const told = (thrown: unknown): ThrownInThread => ({
  message: messageOf(thrown),
  code: thrown instanceof GatewayError ? thrown.code : undefined,
  problem: thrown instanceof ArtifactError ? thrown.problem : undefined,
});

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
    return { thrown: told(thrown) };
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
