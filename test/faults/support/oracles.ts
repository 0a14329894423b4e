import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { until } from '../../support/until.ts';
import type { Subject } from './subject.ts';

/** What a row's own fault makes impossible to ask for. */
export interface Excuses {
  /** Log lines of level error and above that the fault itself brings about. */
  readonly errors: readonly RegExp[];
}

/** For machines that are busy with other tests. */
export const patienceMs = 45_000;

const pinoError = 50;
/** Descriptors that come and go with a look at /proc or a log file. */
const descriptorSlack = 2;

export async function descriptors(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}

/** Memory of a process, in kB. */
export async function residentKb(pid: number): Promise<number> {
  return Number(/^VmRSS:\s+(\d+) kB$/mu.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** The values of a Prometheus series added up: of those with `label`, e.g. `outcome="ok"`, or whatever their labels. */
export function sumOf(page: string, name: string, label = ''): number {
  return page
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => line.includes(label))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

/** Lines that tell of a defect: an error escaped, a promise nobody looked after, a state that should not be. */
export function defects(log: string, { errors }: Excuses): readonly string[] {
  return log
    .split('\n')
    .filter((line) => /UnhandledPromise|unhandled|defect/iu.test(line) || Number(/"level":(\d+)/u.exec(line)?.[1] ?? 0) >= pinoError)
    .filter((line) => !errors.some((excused) => excused.test(line)));
}

/** Requests that have had their outcome, those included that were refused before they were routed. */
const counted = (page: string): number => sumOf(page, 'roundhouse_requests_total') + sumOf(page, 'roundhouse_rejected_requests_total');

/** What must hold of a gateway that serves, after any fault: (b) nothing in flight or waiting, (c) descriptors, (f) one outcome each. */
export async function assertQuiet({ gateway, client, baseline }: Subject): Promise<void> {
  await until(
    'nothing in flight, nothing waiting, each request counted',
    async () => {
      const page = await gateway.metrics();
      const busy = sumOf(page, 'roundhouse_model_in_flight') + sumOf(page, 'roundhouse_model_waiting');
      return busy === 0 && counted(page) >= client.sent;
    },
    patienceMs,
  );
  assert.equal(counted(await gateway.metrics()), client.sent, 'each request sent is counted once');
  await until(`descriptors back at ${baseline}`, async () => (await descriptors(gateway.pid)) <= baseline + descriptorSlack, patienceMs);
}

/** What must hold of a gateway that has ended, however it did: (a) no marked process, (e) no defect in its log. */
export async function assertGone({ gateway }: Subject, excuses: Excuses): Promise<void> {
  assert.deepEqual(await gateway.engines(), [], 'no engine process is left');
  assert.deepEqual(defects(gateway.log(), excuses), [], 'no defect in the log');
}
