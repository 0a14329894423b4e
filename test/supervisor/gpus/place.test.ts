import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { GpuDevice } from '../../../src/supervisor/gpus/devices.ts';
import { place } from '../../../src/supervisor/gpus/place.ts';
import type { GpuHold, GpuPool, GpuRequest, Placement } from '../../../src/supervisor/gpus/place.ts';
import { gpuEnvironment, inheritedDevices } from '../../../src/supervisor/gpus/visible.ts';

const gibibyte = 1_073_741_824;

function gpu(index: number, over: Partial<GpuDevice> = {}): GpuDevice {
  const busId = `00000000:${(index + 16).toString(16)}:00.0`;
  const card = { vendor: 'nvidia', name: 'NVIDIA H100 80GB HBM3', memoryBytes: 80 * gibibyte, usedBytes: 0, partition: false } as const;
  return { ...card, id: `GPU-${index}`, index, busId, ...over };
}

const gpus = (count: number): GpuDevice[] => Array.from({ length: count }, (_, index) => gpu(index));

function pool(devices: readonly GpuDevice[], over: Partial<GpuPool> = {}): GpuPool {
  return { devices, quarantined: new Map(), acceleratorMatch: 'warn', ...over };
}

function request(holder: string, over: Partial<GpuRequest> = {}): GpuRequest {
  return { holder, gpus: 1, share: 1, optional: false, priority: 0, acceleratorType: undefined, ...over };
}

/** Holder → the indices it got, or why it waits. */
function said(placements: readonly Placement[]): Record<string, readonly number[] | string> {
  return Object.fromEntries(
    placements.map((one) => [one.request.holder, one.kind === 'placed' ? one.devices.map(({ index }) => index) : one.reason]),
  );
}

test('what asks for more than is free waits, and is told who holds what', () => {
  const holds: GpuHold[] = [{ holder: 'a-0', device: 'GPU-0', share: 1 }];
  const requests = [request('b-0', { gpus: 2 }), request('c-0', { gpus: 3 })];
  const placements = place(requests, pool(gpus(2)), holds);
  assert.deepEqual(said(placements), {
    'c-0': 'needs 3 GPUs, there are 2 to use',
    'b-0': 'waiting for 2 GPUs: 0 held by a-0',
  });
  assert.deepEqual(
    placements.map((one) => one.kind === 'pending' && one.possible),
    [false, true],
  );
});

test('the more important comes first, then the bigger, whatever the order of asking', () => {
  const requests = [request('small'), request('big', { gpus: 3 }), request('dear', { priority: 1 })];
  assert.deepEqual(said(place(requests, pool(gpus(4)), [])), {
    dear: [0],
    big: [1, 2, 3],
    small: 'waiting for a GPU: 0 held by dear, 1 held by big, 2 held by big, 3 held by big',
  });
});

test('a request that does not fit keeps none of those behind it waiting', () => {
  assert.deepEqual(said(place([request('big', { gpus: 2 }), request('small')], pool(gpus(1)), [])), {
    big: 'needs 2 GPUs, there is 1 to use',
    small: [0],
  });
});

test('shares go where they fit tightest, so that whole GPUs stay whole', () => {
  const holds: GpuHold[] = [{ holder: 'a-0', device: 'GPU-1', share: 0.5 }];
  const requests = [request('b-0', { share: 0.4 }), request('c-0', { share: 0.3 }), request('d-0', { gpus: 2 })];
  assert.deepEqual(said(place(requests, pool(gpus(4)), holds)), { 'd-0': [0, 2], 'b-0': [1], 'c-0': [3] });
});

test('shares of 0.1, 0.2 and 0.7 fill one GPU', () => {
  const requests = [request('a', { share: 0.1 }), request('b', { share: 0.2 }), request('c', { share: 0.7 })];
  assert.deepEqual(said(place(requests, pool(gpus(1)), [])), { a: [0], b: [0], c: [0] });
});

test('several GPUs are of one kind, and the kind with the fewest is used first', () => {
  const old = { name: 'NVIDIA L4', memoryBytes: 24 * gibibyte };
  const devices = [gpu(0), gpu(1, old), gpu(2), gpu(3, old), gpu(4)];
  assert.deepEqual(said(place([request('a', { gpus: 2 })], pool(devices), [])), { a: [1, 3] });
  assert.deepEqual(said(place([request('a', { gpus: 4 })], pool(devices), [])), { a: [0, 1, 2, 3] });
});

test('the card asked for comes first; another does only where it need not match', () => {
  const devices = [gpu(0, { name: 'NVIDIA L4' }), gpu(1)];
  const requests = [request('a', { acceleratorType: 'H100' }), request('b', { acceleratorType: 'H100' })];
  assert.deepEqual(said(place(requests, pool(devices), [])), { a: [1], b: [0] });
  assert.deepEqual(said(place(requests, pool(devices, { acceleratorMatch: 'require' }), [])), {
    a: [1],
    b: 'waiting for a GPU: 1 held by a',
  });
  assert.deepEqual(said(place([request('a', { acceleratorType: 'B200' })], pool(devices, { acceleratorMatch: 'require' }), [])), {
    a: 'needs 1 GPU of type B200, there is none to use',
  });
});

test('a card in use by strangers is taken last, one out of use never', () => {
  const devices = [gpu(0, { usedBytes: 20 * gibibyte }), gpu(1), gpu(2)];
  assert.deepEqual(said(place([request('a')], pool(devices), [])), { a: [1] });
  const quarantined = new Map([['GPU-1', 'GPU is lost']]);
  assert.deepEqual(said(place([request('a')], pool(devices, { quarantined }), [])), { a: [2] });
  assert.deepEqual(said(place([request('a', { gpus: 3 })], pool(devices, { quarantined }), [])), {
    a: 'needs 3 GPUs, there are 2 to use; out of use: GPU 1: GPU is lost',
  });
});

test('what can do without a GPU does so only on a machine that has none', () => {
  const asks = request('a', { optional: true });
  assert.deepEqual(said(place([asks], pool([]), [])), { a: [] });
  assert.deepEqual(said(place([asks], pool(gpus(1)), [{ holder: 'b', device: 'GPU-0', share: 1 }])), {
    a: 'waiting for a GPU: 0 held by b',
  });
});

test('MIG instances are given one to a replica', () => {
  const devices = [gpu(0, { id: 'MIG-a', partition: true }), gpu(0, { id: 'MIG-b', partition: true })];
  assert.deepEqual(said(place([request('a', { gpus: 2 })], pool(devices), [])), { a: 'needs 2 GPUs, there is none to use' });
  const placed = place([request('a'), request('b')], pool(devices), []).flatMap((one) => (one.kind === 'placed' ? one.devices : []));
  assert.deepEqual(placed.map(({ id }) => id).sort(), ['MIG-a', 'MIG-b']);
});

const anyRequest = fc.record({
  gpus: fc.integer({ min: 0, max: 5 }),
  share: fc.oneof(
    fc.constant(1),
    fc.integer({ min: 1, max: 9 }).map((tenths) => tenths / 10),
  ),
  priority: fc.integer({ min: 0, max: 2 }),
  acceleratorType: fc.constantFrom(undefined, 'H100', 'L4'),
});

test('what is free is kept for the model that is next, unless that could never have enough', () => {
  const holds: GpuHold[] = [{ holder: 'a-0', device: 'GPU-0', share: 1 }];
  const big = request('big-0', { model: 'big', gpus: 2 });
  const small = request('small-0', { model: 'small' });
  const placed = (next?: string, ...asked: readonly GpuRequest[]): Record<string, readonly number[] | string> =>
    said(place(asked, pool(gpus(2)), holds, next));
  const waits = 'waiting for 2 GPUs: 0 held by a-0';
  assert.deepEqual(placed(undefined, big, small), { 'big-0': waits, 'small-0': [1] });
  assert.deepEqual(placed('big', big, small), { 'big-0': waits, 'small-0': 'waiting for a GPU: 0 held by a-0, 1 held by big-0 (next)' });
  assert.deepEqual(placed('big', small), { 'small-0': [1] }, 'once it waits no longer, nothing is kept');
  assert.deepEqual(placed('big', big, { ...small, priority: 1 }), {
    'small-0': [1],
    'big-0': 'waiting for 2 GPUs: 0 held by a-0, 1 held by small-0',
  });
  assert.deepEqual(placed('big', { ...big, gpus: 3 }, small), { 'big-0': 'needs 3 GPUs, there are 2 to use', 'small-0': [1] });
});

test('of equals the model that is next chooses first', () => {
  const asked = [request('a-0', { model: 'a' }), request('b-0', { model: 'b' })];
  assert.deepEqual(said(place(asked, pool(gpus(1)), [], 'b'))['b-0'], [0]);
});

test('whatever is asked: no GPU is given beyond its whole, none lost or forbidden is given, and nobody waits for what is free', () => {
  const cases = fc.record({
    names: fc.array(fc.constantFrom('NVIDIA H100', 'NVIDIA L4'), { maxLength: 8 }),
    rounds: fc.array(fc.array(anyRequest, { maxLength: 8 }), { maxLength: 4 }),
    lost: fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 2 }),
    acceleratorMatch: fc.constantFrom('warn' as const, 'require' as const),
  });
  fc.assert(
    fc.property(cases, ({ names, rounds, lost, acceleratorMatch }) => {
      const devices = names.map((name, index) => gpu(index, { name }));
      const quarantined = new Map(lost.map((index) => [`GPU-${index}`, 'GPU is lost']));
      const holds: GpuHold[] = [];
      for (const [round, asked] of rounds.entries()) {
        const requests = asked.map((over, at) => request(`r${round}-${at}`, over));
        const placements = place(requests, pool(devices, { quarantined, acceleratorMatch }), holds);
        assert.equal(placements.length, requests.length);
        for (const one of placements) {
          if (one.kind === 'pending') continue;
          assert.equal(new Set(one.devices.map(({ id }) => id)).size, one.request.gpus);
          for (const { id, name } of one.devices) {
            assert.ok(!quarantined.has(id), `${id} is lost`);
            if (acceleratorMatch === 'require' && one.request.acceleratorType !== undefined)
              assert.ok(name.endsWith(one.request.acceleratorType));
            holds.push({ holder: one.request.holder, device: id, share: one.request.share });
          }
        }
        const room = (id: string): number => 1 - holds.filter(({ device }) => device === id).reduce((sum, { share }) => sum + share, 0);
        for (const { id } of devices) assert.ok(room(id) > -1e-6, `${id} is given beyond its whole`);
        for (const one of placements) {
          if (one.kind === 'placed') continue;
          const { share, gpus: count, acceleratorType } = one.request;
          const free = devices.filter(
            ({ id, name }) =>
              !quarantined.has(id) &&
              room(id) >= share - 1e-9 &&
              (acceleratorMatch === 'warn' || acceleratorType === undefined || name.endsWith(acceleratorType)),
          );
          assert.ok(free.length < count, `${one.request.holder} waits although ${free.length} are free`);
        }
      }
    }),
    { numRuns: 300 },
  );
});

for (const [mask, expected] of [
  [undefined, [0, 1, 2]],
  ['', []],
  ['2,0', [0, 2]],
  ['GPU-1', [1]],
  ['1,-1,2', [1]],
  ['1,7,2', [1]],
  ['NoDevFiles', []],
] as const) {
  test(`CUDA_VISIBLE_DEVICES=${mask} lets ${expected.join(',') || 'none'} through`, () => {
    const visible = inheritedDevices(gpus(3), { CUDA_VISIBLE_DEVICES: mask, HIP_VISIBLE_DEVICES: '' });
    assert.deepEqual(
      visible.map(({ index }) => index),
      expected,
    );
  });
}

test('an engine is told its GPUs by index, MIG instances by id, and none where it has none', () => {
  const order = { CUDA_DEVICE_ORDER: 'PCI_BUS_ID' };
  assert.deepEqual(gpuEnvironment([gpu(1), gpu(3)]), { ...order, CUDA_VISIBLE_DEVICES: '1,3' });
  assert.deepEqual(gpuEnvironment([gpu(1, { id: 'MIG-a', partition: true })]), { ...order, CUDA_VISIBLE_DEVICES: 'MIG-a' });
  assert.deepEqual(gpuEnvironment([gpu(2, { vendor: 'amd' })]), { HIP_VISIBLE_DEVICES: '2' });
  assert.deepEqual(gpuEnvironment([]), { ...order, CUDA_VISIBLE_DEVICES: '', HIP_VISIBLE_DEVICES: '' });
});
