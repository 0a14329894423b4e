import assert from 'node:assert/strict';
import { test } from 'node:test';
import { engineEnvironment } from '../../../src/supervisor/providers/environment.ts';

test('only what is on the allow-list comes from the gateway’s own environment', () => {
  const own = {
    PATH: '/bin',
    HOME: '/home/me',
    LC_ALL: 'C.UTF-8',
    XDG_CACHE_HOME: '/cache',
    https_proxy: 'http://proxy',
    CUDA_VISIBLE_DEVICES: '1',
    TZ: undefined,
    AWS_SECRET_ACCESS_KEY: 'secret',
    HF_TOKEN: 'of the hub',
    VLLM_PORT: '8000',
    LLAMA_ARG_CTX_SIZE: '1',
    NODE_OPTIONS: '--inspect',
    LD_PRELOAD: 'evil.so',
  };
  assert.deepEqual(engineEnvironment(own, {}, {}, 'demo-0-1'), {
    PATH: '/bin',
    HOME: '/home/me',
    LC_ALL: 'C.UTF-8',
    XDG_CACHE_HOME: '/cache',
    HF_TOKEN: 'of the hub',
    https_proxy: 'http://proxy',
    SPT_NOENV: '1',
    ROUNDHOUSE_REPLICA: 'demo-0-1',
  });
});

test('the model’s variables win over the gateway’s, the engine’s own needs over both, the marker over all', () => {
  const env = engineEnvironment(
    { PATH: '/bin', HOME: '/home/me' },
    { PATH: '/opt/bin', KEY: 'of the model', HF_TOKEN: 't', ROUNDHOUSE_REPLICA: 'x' },
    { KEY: 'of the replica' },
    'demo-0-1',
  );
  assert.deepEqual(env, {
    PATH: '/opt/bin',
    HOME: '/home/me',
    KEY: 'of the replica',
    HF_TOKEN: 't',
    SPT_NOENV: '1',
    ROUNDHOUSE_REPLICA: 'demo-0-1',
  });
});
