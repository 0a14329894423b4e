import assert from 'node:assert/strict';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Check } from '../../../src/cli/doctor/check.ts';
import { configText, fakeModel, runGateway, startGateway, tempDir } from '../../support/gateway-process.ts';

interface Report {
  readonly code: number | null;
  readonly checks: readonly Check[];
}

async function doctor(...args: readonly string[]): Promise<Report> {
  const { code, stdout, stderr } = await runGateway(['doctor', '--json', ...args]);
  assert.notEqual(stdout, '', stderr);
  return { code, checks: (JSON.parse(stdout) as { checks: Check[] }).checks };
}

const named = ({ checks }: Report, name: string): readonly Check[] => checks.filter((check) => check.name === name);

/** A config whose engine is a script of the test. */
async function withEngine(t: TestContext, script: string): Promise<string> {
  const dir = await tempDir(t);
  const command = join(dir, 'engine');
  await writeFile(command, script);
  await chmod(command, 0o700);
  const model = { model_loading_config: { model_id: 'm', model_source: 'org/model' }, llm_engine: 'vllm' };
  const file = join(dir, 'c.yaml');
  await writeFile(file, configText(join(dir, 'state'), [model], { engines: { vllm: { command } } }));
  return file;
}

describe('gateway doctor', () => {
  it('finds a machine fit for the engine that comes along', async (t) => {
    const dir = await tempDir(t);
    await writeFile(join(dir, 'c.yaml'), configText(join(dir, 'state'), [fakeModel('m')]));
    const { code, stdout } = await runGateway(['doctor', '-c', join(dir, 'c.yaml')]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^ok {7}node: /);
    assert.match(stdout, /\nok {7}engine fake: comes with this package\n/);
    assert.match(stdout, /\n0 failures, \d+ warnings?\.\n$/);
  });

  it('reads the version of an engine, and knows which are not safe', async (t) => {
    const file = await withEngine(t, '#!/bin/sh\necho "a library says 1.2" >&2\n[ "$1" = --version ] && echo 0.31.2\n');
    const [check] = named(await doctor('-c', file), 'engine vllm');
    assert.equal(check?.level, 'warning');
    assert.match(check.message, /0\.31\.2 is older than 0\.32\.0: .*CVE-/);
  });

  it('says with its own last words why an engine does not run', async (t) => {
    const file = await withEngine(t, '#!/bin/sh\necho "ImportError: libcuda.so.1" >&2\nexit 3\n');
    const report = await doctor('-c', file);
    assert.equal(report.code, 1);
    assert.match(named(report, 'engine vllm')[0]?.message ?? '', /exit code 3\nImportError: libcuda\.so\.1/);
  });

  it('says when the Python of an engine is not there', async (t) => {
    const report = await doctor('-c', await withEngine(t, '#!/nowhere/venv/bin/python3\nprint(1)\n'));
    assert.equal(report.code, 1);
    assert.match(named(report, 'engine vllm')[0]?.message ?? '', /is a script for \/nowhere\/venv\/bin\/python3, which is not there/);
  });

  it('tells of an engine that is not installed, a state directory open to others and a taken port', async (t) => {
    const dir = await tempDir(t);
    const taken = createServer().listen(0, '127.0.0.1');
    t.after(() => taken.close());
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const state = join(dir, 'state');
    await mkdir(state);
    await chmod(state, 0o755);
    const model = { model_loading_config: { model_id: 'm', model_source: 'org/model' }, llm_engine: 'sglang' };
    const more = { engines: { sglang: { command: '/nowhere/sglang' } }, admin: { port } };
    await writeFile(join(dir, 'c.yaml'), configText(state, [model], more));
    const report = await doctor('-c', join(dir, 'c.yaml'));
    assert.equal(report.code, 1);
    assert.match(named(report, 'engine sglang')[0]?.message ?? '', /^\/nowhere\/sglang: no such file\.$/);
    assert.match(named(report, 'state directory')[0]?.remedy ?? '', /^chmod 700 /);
    assert.deepEqual(
      named(report, `port 127.0.0.1:${port}`).map(({ level }) => level),
      ['failure'],
    );
  });

  it('goes on without a config that is not valid', async (t) => {
    const file = join(await tempDir(t), 'c.yaml');
    await writeFile(file, 'llm_configs: []\n');
    const report = await doctor('-c', file);
    assert.equal(report.code, 1);
    assert.match(named(report, 'config')[0]?.message ?? '', /c\.yaml:1:/);
    assert.equal(named(report, '/proc').length, 1);
  });

  it('knows a gateway that runs, and takes its ports for its own', async (t) => {
    // Ports of the kernel's choice, then the same ones by number: what a running gateway holds is not a failure.
    const { stateDir, url, adminUrl, pid } = await startGateway(t, [fakeModel('m')]);
    const file = join(await tempDir(t), 'c.yaml');
    const ports = { listen: { port: Number(new URL(url).port) }, admin: { port: Number(new URL(adminUrl).port) } };
    await writeFile(file, configText(stateDir, [fakeModel('m')], ports));
    const report = await doctor('-c', file);
    assert.equal(report.code, 0, JSON.stringify(report.checks));
    assert.match(named(report, 'gateway')[0]?.message ?? '', new RegExp(`runs already, pid ${pid}`));
    for (const port of [ports.listen.port, ports.admin.port])
      assert.match(named(report, `port 127.0.0.1:${port}`)[0]?.message ?? '', /the running gateway listens there/);
  });
});
