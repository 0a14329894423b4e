import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAccelerator } from '../../../src/supervisor/gpus/accelerator.ts';
import { readRocmSmi } from '../../../src/supervisor/gpus/amd.ts';
import { machineGpus } from '../../../src/supervisor/gpus/machine.ts';
import { readQuery } from '../../../src/supervisor/gpus/nvidia.ts';
import { fakeNvidiaSmi, uuid } from '../../support/fake-nvidia-smi.ts';

const never = new AbortController().signal;
const gibibyte = 1_073_741_824;

test('a row of a real H100 (driver 580) is read', () => {
  const text = '0, GPU-5e78c893-17bb-f19b-8b1a-a4bd2c52d80c, 00000000:00:06.0, NVIDIA H100 80GB HBM3, 81559, 12, Disabled\n';
  assert.deepEqual(readQuery(text), {
    rows: [
      {
        device: {
          id: 'GPU-5e78c893-17bb-f19b-8b1a-a4bd2c52d80c',
          vendor: 'nvidia',
          index: 0,
          busId: '00000000:00:06.0',
          name: 'NVIDIA H100 80GB HBM3',
          memoryBytes: 81_559 * 1_048_576,
          usedBytes: 12 * 1_048_576,
          partition: false,
        },
        mig: false,
      },
    ],
    lost: [],
  });
});

for (const [what, line, key] of [
  ['a sentence', 'Unable to determine the device handle for GPU0000:3B:00.0: GPU is lost.  Reboot the system', '00000000:3b:00.0'],
  ['a row', `1, ${uuid(1)}, 00000000:3B:00.0, NVIDIA L4, [GPU is lost], [GPU is lost], [N/A]`, uuid(1)],
  ['another word', 'Unable to determine the device handle for GPU0: 0000:3B:00.0: Unknown Error', '00000000:3b:00.0'],
] as const) {
  test(`a lost card is told from its neighbours: ${what}`, () => {
    const { rows, lost } = readQuery(`0, ${uuid(0)}, 00000000:19:00.0, NVIDIA L4, 23034, 1, [N/A]\n${line}\n`);
    assert.deepEqual(
      rows.map(({ device }) => device.index),
      [0],
    );
    assert.deepEqual(
      lost.map((one) => one.key),
      [key],
    );
  });
}

test('the tool on the PATH is asked; masks in the environment hide nothing from it', async (t) => {
  const smi = fakeNvidiaSmi(t, 2);
  const { devices } = await machineGpus({ ...smi.env, CUDA_VISIBLE_DEVICES: '' }).list(never);
  assert.deepEqual(
    devices.map(({ id, index }) => [id, index]),
    [
      [uuid(0), 0],
      [uuid(1), 1],
    ],
  );
});

test('a machine without any tool has no GPU', async () => {
  assert.deepEqual(await machineGpus({ PATH: '/nonexistent' }).list(never), { devices: [], lost: [] });
});

test('a card that is split stands for its MIG instances', async (t) => {
  const smi = fakeNvidiaSmi(t, 2);
  Object.assign(smi.gpus[1] ?? {}, {
    mig: [
      { profile: '3g.40gb', uuid: 'MIG-aaaa' },
      { profile: '4g.40gb', uuid: 'MIG-bbbb' },
    ],
  });
  smi.write();
  const { devices } = await machineGpus(smi.env).list(never);
  assert.deepEqual(
    devices.map(({ id, index, partition, memoryBytes }) => [id, index, partition, Math.round(memoryBytes / gibibyte)]),
    [
      [uuid(0), 0, false, 80],
      ['MIG-aaaa', 1, true, 40],
      ['MIG-bbbb', 1, true, 40],
    ],
  );
});

test('a tool that fails is an error with its words; one that says that there are no cards is not', async (t) => {
  const smi = fakeNvidiaSmi(t, 0);
  smi.write({ exitCode: 9, complaint: 'NVIDIA-SMI has failed because it couldn’t communicate with the NVIDIA driver.' });
  await assert.rejects(machineGpus(smi.env).list(never), /exit code 9.*communicate with the NVIDIA driver/);
  smi.write({ exitCode: 6, complaint: 'No devices were found' });
  assert.deepEqual((await machineGpus(smi.env).list(never)).devices, []);
});

test('rocm-smi’s JSON is read, whatever warnings stand before it', () => {
  const card = {
    'Card Series': 'AMD Instinct MI300X OAM',
    'Unique ID': '0x1a2b',
    'PCI Bus': '0000:05:00.0',
    'VRAM Total Memory (B)': '206141652992',
    'VRAM Total Used Memory (B)': '297631744',
  };
  const [device] = readRocmSmi(`WARNING: low power state\n${JSON.stringify({ card0: card, system: { driver: '6.8' } })}`);
  assert.deepEqual(device, {
    id: '0x1a2b',
    vendor: 'amd',
    index: 0,
    busId: '00000000:05:00.0',
    name: 'AMD Instinct MI300X OAM',
    memoryBytes: 206_141_652_992,
    usedBytes: 297_631_744,
    partition: false,
  });
});

for (const [type, name, gib, expected] of [
  ['H100', 'NVIDIA H100 80GB HBM3', 80, true],
  ['H100', 'NVIDIA H200', 141, false],
  ['A10', 'NVIDIA A10G', 22, true],
  ['A10G', 'NVIDIA A10', 22, true],
  ['A100', 'NVIDIA A10G', 22, false],
  ['L4', 'NVIDIA L40S', 45, false],
  ['V100', 'Tesla V100-SXM2-16GB', 16, true],
  ['A100-40G', 'NVIDIA A100-SXM4-40GB', 39.5, true],
  ['A100-40G', 'NVIDIA A100-SXM4-80GB', 79.2, false],
  ['AMD-Instinct-MI300X-OAM', 'AMD Instinct MI300X', 192, true],
] as const) {
  test(`${name} is ${expected ? 'an' : 'no'} ${type}`, () =>
    assert.equal(isAccelerator({ name, memoryBytes: gib * gibibyte }, type), expected));
}
