import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import type { GpuDevice, GpuList, GpuProbe } from '../../../src/supervisor/gpus/devices.ts';
import { GpuLedger } from '../../../src/supervisor/gpus/ledger.ts';
import type { GpuGrant } from '../../../src/supervisor/gpus/holds.ts';
import type { GpuRequest } from '../../../src/supervisor/gpus/place.ts';
import { ManualClock, settle } from '../../support/manual-clock.ts';

const gibibyte = 1_073_741_824;

class Machine implements GpuProbe {
  readonly used: number[];
  readonly lost = new Set<number>();
  /** Not listed, and not named as lost. */
  readonly unlisted = new Set<number>();
  broken = false;
  asked = 0;
  constructor(count: number) {
    this.used = Array.from({ length: count }, () => 0);
  }
  list(): Promise<GpuList> {
    this.asked += 1;
    if (this.broken) return Promise.reject(new Error('nvidia-smi did not end within 20 s'));
    const all = this.used.map((usedBytes, index): GpuDevice => {
      const card = { vendor: 'nvidia', name: 'NVIDIA L4', memoryBytes: 24 * gibibyte, partition: false } as const;
      return { ...card, id: `GPU-${index}`, index, busId: `00000000:0${index}:00.0`, usedBytes };
    });
    return Promise.resolve({
      devices: all.filter(({ index }) => !this.lost.has(index) && !this.unlisted.has(index)),
      lost: [...this.lost].map((index) => ({ key: `00000000:0${index}:00.0`, reason: 'GPU is lost' })),
    });
  }
}

interface Asked {
  grant?: GpuGrant;
  waits: (string | undefined)[];
}

const granted = (asked: Asked): boolean => asked.grant !== undefined;

function setUp(count: number, env: Record<string, string> = {}) {
  const clock = new ManualClock();
  const machine = new Machine(count);
  const warnings: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => warnings.push((JSON.parse(line) as { msg: string }).msg) });
  const ledger = new GpuLedger({ clock, log, probe: machine, env });
  const ask = (holder: string, over: Partial<GpuRequest> = {}, signal = new AbortController().signal): Asked => {
    const asked: Asked = { waits: [] };
    const request = { holder, gpus: 1, share: 1, optional: false, priority: 0, acceleratorType: undefined, ...over };
    ledger
      .acquire(request, (wait) => asked.waits.push(wait?.reason), signal)
      .then(
        (grant) => (asked.grant = grant),
        () => undefined,
      );
    return asked;
  };
  const holders = (): readonly (readonly string[])[] => ledger.status().map((gpu) => gpu.holders);
  return { clock, machine, warnings, ledger, ask, holders };
}

test('a GPU is given on only when its memory is free as well', async () => {
  const { clock, machine, ask, holders, ledger } = setUp(1);
  const first = ask('a-0');
  await settle();
  machine.used[0] = 20 * gibibyte;
  const second = ask('b-0');
  await settle();
  assert.deepEqual(first.grant?.labels, ['0']);
  assert.deepEqual(second.waits, ['waiting for a GPU: 0 held by a-0']);
  first.grant?.release();
  await clock.advance(5_000);
  assert.equal(granted(second), false);
  assert.equal(ledger.unsettled, true);
  machine.used[0] = 100_000_000;
  await clock.advance(250);
  assert.deepEqual(second.grant?.labels, ['0']);
  assert.deepEqual(holders(), [['b-0']]);
  assert.equal(second.waits.at(-1), undefined);
});

test('memory that does not come free holds a GPU back for 30 s, and is told', async () => {
  const { clock, machine, warnings, ask } = setUp(1);
  const first = ask('a-0');
  await settle();
  machine.used[0] = 20 * gibibyte;
  const second = ask('b-0');
  first.grant?.release();
  await clock.advance(29_000);
  assert.equal(second.grant, undefined);
  await clock.advance(1_000);
  assert.ok(second.grant);
  assert.match(warnings.join('\n'), /memory of GPU 0 is still in use 30 s after a-0 ended/);
});

test('on a shared GPU the others may use their shares, and strangers what they used before', async () => {
  const { clock, machine, ask } = setUp(1);
  machine.used[0] = gibibyte;
  const [first, other] = [ask('a-0', { share: 0.5 }), ask('b-0', { share: 0.5 })];
  await settle();
  assert.ok(other.grant);
  machine.used[0] = 20 * gibibyte;
  const next = ask('c-0', { share: 0.5 });
  first.grant?.release();
  await clock.advance(1_000);
  assert.equal(next.grant, undefined, '20 GiB are more than the half of b-0 and what was there before');
  machine.used[0] = 13 * gibibyte;
  await clock.advance(250);
  assert.ok(next.grant);
});

test('a lost GPU is out of use for good; its neighbour serves on', async () => {
  const { clock, machine, warnings, ask, ledger } = setUp(2);
  const [first, second] = [ask('a-0'), ask('b-0')];
  await settle();
  machine.lost.add(0);
  first.grant?.release();
  await clock.advance(0);
  machine.lost.clear();
  const again = ask('a-0');
  await settle();
  assert.deepEqual(again.waits, ['waiting for a GPU: 1 held by b-0']);
  second.grant?.release();
  await clock.advance(0);
  assert.deepEqual(again.grant?.labels, ['1']);
  assert.deepEqual(
    ledger.status().map(({ quarantined }) => quarantined),
    ['GPU is lost', undefined],
  );
  assert.deepEqual(warnings, ['GPU 0 is out of use: GPU is lost']);
});

test('nothing is given while the driver does not answer; it is asked again', async () => {
  const { clock, machine, ask } = setUp(1);
  machine.broken = true;
  const asked = ask('a-0');
  await settle();
  assert.deepEqual(asked.waits, ['waiting for a GPU: nvidia-smi did not end within 20 s']);
  machine.broken = false;
  await clock.advance(5_000);
  assert.ok(asked.grant);
});

test('what asks for no GPU never waits, and the driver is not asked', async () => {
  const { machine, ask } = setUp(1);
  const asked = ask('a-0', { gpus: 0 });
  await settle();
  assert.equal(asked.grant?.env['CUDA_VISIBLE_DEVICES'], '');
  assert.equal(machine.asked, 0);
});

test('the inherited mask bounds gateway.gpus', async () => {
  const { ledger, ask } = setUp(4, { CUDA_VISIBLE_DEVICES: '1,2' });
  ledger.configure({ gpus: [2, 3], acceleratorMatch: 'warn' });
  const [first, second] = [ask('a-0'), ask('b-0')];
  await settle();
  assert.equal(first.grant?.env['CUDA_VISIBLE_DEVICES'], '2');
  assert.deepEqual(second.waits, ['waiting for a GPU: 2 held by a-0']);
});

test('another card than configured for is told, and runs', async () => {
  const { warnings, ask } = setUp(1);
  const asked = ask('a-0', { acceleratorType: 'H100' });
  await settle();
  assert.ok(asked.grant);
  assert.deepEqual(warnings, ['configured for H100, runs on GPU 0, NVIDIA L4']);
});

test('what is given up while it waits gets nothing, and releasing twice gives back once', async () => {
  const { clock, ask, holders } = setUp(1);
  const gone = new AbortController();
  const first = ask('a-0');
  const second = ask('b-0', {}, gone.signal);
  const third = ask('c-0');
  await settle();
  gone.abort();
  first.grant?.release();
  first.grant?.release();
  await clock.advance(250);
  first.grant?.release();
  await clock.advance(250);
  assert.equal(second.grant, undefined);
  assert.ok(third.grant);
  assert.deepEqual(holders(), [['c-0']]);
});

test('a run that goes on from before keeps its GPU', async () => {
  const { ledger, ask, clock } = setUp(2);
  const kept = ledger.keep('a-0', ['GPU-0'], 1);
  const [second, third] = [ask('b-0'), ask('c-0')];
  await settle();
  assert.deepEqual([second.grant?.labels, kept.labels], [['1'], ['0']]);
  assert.deepEqual(third.waits, ['waiting for a GPU: 0 held by a-0, 1 held by b-0']);
  kept.release();
  await clock.advance(0);
  assert.deepEqual(third.grant?.labels, ['0']);
});

async function lossOf({ grant }: Asked): Promise<string> {
  const never = new Promise<string>((resolve) => setImmediate(resolve, 'not lost'));
  return await Promise.race([grant?.lost ?? 'not granted', never]);
}

test('a GPU that is lost while it is held is found within 15 s; its holders are told, and nobody else', async () => {
  const { clock, machine, ask, ledger } = setUp(2);
  let heard = 0;
  const [first, other] = [ask('a-0'), ask('b-0')];
  await settle();
  ledger.listen(() => (heard += 1));
  machine.lost.add(0);
  await clock.advance(14_000);
  assert.equal(await lossOf(first), 'not lost');
  await clock.advance(1_000);
  assert.equal(await lossOf(first), 'GPU 0: GPU is lost');
  assert.equal(await lossOf(other), 'not lost');
  assert.equal(heard, 1);
  assert.equal(ledger.status()[0]?.quarantined, 'GPU is lost');
  ledger.close();
  assert.equal(clock.pending, 0);
});

test('that a GPU is not listed ends an engine only when two looks in a row say so', async () => {
  const { clock, machine, ask, ledger } = setUp(2);
  const [first, other] = [ask('a-0'), ask('b-0')];
  await settle();
  machine.unlisted.add(0);
  await clock.advance(15_000);
  assert.equal(await lossOf(first), 'not lost');
  machine.unlisted.clear();
  await clock.advance(15_000);
  machine.unlisted.add(1);
  await clock.advance(15_000);
  assert.equal(await lossOf(other), 'not lost');
  await clock.advance(15_000);
  assert.equal(await lossOf(other), 'GPU 1: the driver lists it no more');
  assert.equal(await lossOf(first), 'not lost');
  ledger.close();
});

test('nobody looks for lost GPUs while none is held, and a look without an answer proves nothing', async () => {
  const { clock, machine, ask } = setUp(1);
  const only = ask('a-0');
  await settle();
  machine.broken = true;
  await clock.advance(60_000);
  assert.equal(await lossOf(only), 'not lost');
  assert.ok(machine.asked >= 5, `${machine.asked} looks in a minute`);
  machine.broken = false;
  only.grant?.release();
  await clock.advance(30_000);
  const { asked } = machine;
  await clock.advance(600_000);
  assert.equal(machine.asked, asked);
  assert.equal(clock.pending, 0, 'a timer is left');
});

test('the engine of a former gateway is told as well', async () => {
  const { clock, machine, ledger } = setUp(1);
  const grant = ledger.keep('a-0', ['GPU-0'], 1);
  await clock.advance(15_000);
  machine.lost.add(0);
  await clock.advance(15_000);
  assert.equal(await lossOf({ grant, waits: [] }), 'GPU 0: GPU is lost');
  ledger.close();
});

test('who holds a GPU from before is shown, though nobody has asked for one', async () => {
  const { ledger, machine, holders } = setUp(2);
  const kept = ledger.keep('a-0', ['GPU-1'], 1);
  ledger.keep('b-0', ['GPU-0'], 1);
  await settle();
  assert.deepEqual(holders(), [['b-0'], ['a-0']]);
  assert.deepEqual(kept.labels, ['1']);
  assert.equal(machine.asked, 1, 'one look for all');
});
