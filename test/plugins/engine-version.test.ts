import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { olderThan, securityWarning } from '../../src/plugins/engine-version.ts';
import { engines } from '../../src/plugins/registry.ts';

describe('versions', () => {
  for (const [version, other, older] of [
    ['0.31.9', '0.32.0', true],
    ['0.32.0', '0.32.0', false],
    ['0.32.0+cpu', '0.32.0', false],
    ['0.32.0rc1', '0.32.0', true],
    ['0.32.0.dev5+g1234', '0.32.0', true],
    ['0.32.1rc1', '0.32.0', false],
    ['0.32', '0.32.0', false],
    ['v0.4', '0.32.0', true],
    ['9700', '9701', true],
    ['b11669', '9701', false],
    ['unknown', '0.32.0', undefined],
    ['0.32.0', '', undefined],
  ] as const) {
    test(`${version} is ${older === undefined ? 'not compared with' : older ? 'older than' : 'no older than'} ${other}`, () => {
      assert.equal(olderThan(version, other), older);
    });
  }
});

const versionOf = (engine: string) => engines.get(engine)?.configure({}).version;

describe('the version of an installed engine', () => {
  for (const [engine, output, version, warned] of [
    ['vllm', 'Triton not available, find_triton_kernels = []\n0.32.0+cpu\n', '0.32.0+cpu', false],
    ['vllm', 'W1124 13:55:18.4 3854 torch/utils/a.py:29] 1.2.3 not found\n0.25.1\n', '0.25.1', true],
    ['vllm', 'Traceback (most recent call last):\n', undefined, false],
    ['sglang', 'sglang version: 0.5.23\ngit revision: 16ec618\n', '0.5.23', false],
    ['sglang', 'sglang version: 0.5.9\n', '0.5.9', true],
    ['llamacpp', 'version: 0.7.0 (build 11669, commit Debian)\nbuilt with GNU 16.2.0 for Linux x86_64\n', '11669', false],
    ['llamacpp', 'ggml_cuda_init: found 1 CUDA devices:\nversion: 8100 (0a1b2c3d)\n', '8100', true],
    ['llamacpp', 'version: 1 (0a1b2c3d)\n', undefined, false],
  ] as const) {
    test(`${engine}: ${JSON.stringify(output.trim().split('\n').at(-1))}`, () => {
      const asked = versionOf(engine);
      assert.equal(asked?.installed?.read(output), version);
      const warning = version === undefined ? undefined : securityWarning(version, asked?.floor);
      if (warned) assert.match(warning ?? '', new RegExp(`^${version} is older than .*CVE-`));
      else assert.equal(warning, undefined);
    });
  }
  test('an engine that comes along has none', () => assert.equal(versionOf('fake')?.installed, undefined));
});

describe('the version of a running engine', () => {
  for (const [engine, path, body, version] of [
    ['vllm', '/version', { version: '0.26.0' }, '0.26.0'],
    ['vllm', '/version', { version: 26 }, undefined],
    ['vllm', '/version', undefined, undefined],
    ['sglang', '/server_info', { model_path: 'm', version: '0.5.17' }, '0.5.17'],
    ['llamacpp', '/props', { build_info: 'b11669-Debian', total_slots: 2 }, '11669'],
    ['llamacpp', '/props', { build_info: 'b1-unknown' }, undefined],
    ['llamacpp', '/props', ['b11669'], undefined],
    ['fake', '/version', { version: '1.0.0' }, '1.0.0'],
  ] as const) {
    test(`${engine}: ${JSON.stringify(body)}`, () => {
      const running = versionOf(engine)?.running;
      assert.equal(running?.probe.path, path);
      assert.equal(running.read(body), version);
    });
  }
});
