import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { configText, fakeModel, runGateway, startGateway, tempDir } from '../support/gateway-process.ts';

interface ErrorBody {
  readonly error: { readonly message: string; readonly code: string };
}

const ask = (model: string, more: object = {}) => ({ model, messages: [{ role: 'user', content: 'one two three' }], ...more });

describe('gateway start', () => {
  test('prints where it listens, the models and a curl line that works; Ctrl-C leaves nothing behind', async (t) => {
    const gateway = await startGateway(t, [fakeModel('a/b:c', {}, { num_replicas: 2 })]);
    assert.match(gateway.output(), / {2}a\/b:c {3}2 replicas on fake/);
    const body = /-d '(\{.*\})'/.exec(gateway.output())?.[1] ?? '';
    const response = await gateway.post(JSON.parse(body));
    assert.equal(response.status, 200);
    assert.equal((await gateway.engines()).length, 2);
    assert.match(await gateway.metrics(), /roundhouse_requests_total\{model="a\/b:c",operation="chat",status="200",outcome="ok"\} 1\n/);
    gateway.signal('SIGINT');
    assert.deepEqual(await gateway.exited, { code: 0, signal: null });
    assert.deepEqual(await gateway.engines(), []);
    assert.match(gateway.output(), /Stopped; no engine is left running\./);
  });

  test('--json says each thing on a line of its own, with the URLs to use', async (t) => {
    const gateway = await startGateway(t, [fakeModel('m')], { flags: ['--json', '--watch'], until: /"kind":"ready"/ });
    await gateway.writeConfig([fakeModel('m'), fakeModel('n')]);
    await gateway.printed(/"kind":"reloaded"/);
    await writeFile(gateway.configFile, 'llm_configs: nope\n');
    await gateway.printed(/"kind":"reload_refused"/);
    gateway.signal('SIGINT');
    assert.deepEqual(await gateway.exited, { code: 0, signal: null });
    const said = gateway.output().trimEnd().split('\n');
    const facts = said.map((line) => JSON.parse(line) as { kind: string; url?: string; models?: readonly unknown[] });
    const ready = facts.find(({ kind }) => kind === 'ready');
    assert.match(ready?.url ?? '', /^http:\/\/127\.0\.0\.1:\d+$/u);
    assert.deepEqual(ready?.models, [{ name: 'm', ready: 1, desired: 1 }]);
    assert.deepEqual(facts.slice(-2), [
      { kind: 'stopping', signal: 'SIGINT' },
      { kind: 'stopped', enginesRun: false },
    ]);
  });

  test('--dry-run answers in JSON, or with nothing but errors', async (t) => {
    const dir = await tempDir(t);
    const file = join(dir, 'config.yaml');
    await writeFile(file, configText(join(dir, 'state'), [fakeModel('m')]));
    const { code, stdout } = await runGateway(['start', '-c', file, '--dry-run', '--json']);
    assert.equal(code, 0);
    assert.equal((JSON.parse(stdout) as { kind: string }).kind, 'start');
    const quiet = await runGateway(['start', '-c', file, '--dry-run', '--quiet']);
    assert.deepEqual([quiet.code, quiet.stdout], [0, '']);
  });

  test('an invalid config: exit 4, every problem at once, nothing started', async (t) => {
    const dir = await tempDir(t);
    const file = join(dir, 'bad.yaml');
    await writeFile(file, 'llm_configs:\n  - model_loading_config: {}\n    llm_engine: nope\n    colour: red\ngateway:\n  workers: many\n');
    const { code, stdout, stderr } = await runGateway(['start', '-c', file]);
    assert.equal(code, 4);
    assert.equal(stdout, '');
    for (const place of [/bad\.yaml:2:\d+: .*model_id/, /bad\.yaml:3:17: .*nope/, /bad\.yaml:4:5: .*colour/, /bad\.yaml:6:12: .*workers/])
      assert.match(stderr, place);
  });

  test('a state directory whose engines of before cannot be known: exit 1, and nothing is left listening', async (t) => {
    const dir = await tempDir(t);
    const file = join(dir, 'config.yaml');
    await mkdir(join(dir, 'state'), { mode: 0o700 });
    await writeFile(join(dir, 'state', 'leases'), 'no directory');
    await writeFile(file, configText(join(dir, 'state'), [fakeModel('m')]));
    const { code, stdout, stderr } = await runGateway(['start', '-c', file]);
    assert.equal(code, 1);
    assert.equal(stdout, '', 'nothing of an API that is not there');
    assert.match(stderr, /leases: cannot be read: ENOTDIR/);
    assert.deepEqual(
      (await readdir(join(dir, 'state'))).filter((name) => name.endsWith('.sock')),
      [],
    );
  });

  test('a taken port: exit 1 before any engine starts, the port named', async (t) => {
    const holder = createServer().listen(0, '127.0.0.1');
    t.after(() => holder.close());
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    const dir = await tempDir(t);
    const file = join(dir, 'config.yaml');
    for (const more of [{ listen: { host: '127.0.0.1', port } }, { admin: { host: '127.0.0.1', port } }]) {
      await writeFile(file, configText(join(dir, 'state'), [fakeModel('m')], more));
      const { code, stderr } = await runGateway(['start', '-c', file]);
      assert.equal(code, 1);
      assert.match(stderr, new RegExp(`127\\.0\\.0\\.1:${port} is in use`));
    }
  });

  test('usage errors: exit 2', async () => {
    for (const args of [[], ['start'], ['start', '--nope'], ['nope']]) assert.equal((await runGateway(args)).code, 2, args.join(' '));
    assert.equal((await runGateway(['--help'])).code, 0);
    assert.match((await runGateway(['version'])).stdout, /^\d+\.\d+\.\d+\n$/);
  });

  test('an engine that is not there: said in the terminal and in the 503, at once', async (t) => {
    const gateway = await startGateway(t, [fakeModel('m')], {
      more: { engines: { fake: { command: 'no-such-engine' } } },
      until: /Listening at/,
    });
    assert.match(gateway.output(), /no-such-engine/);
    const response = await gateway.post(ask('m'));
    assert.equal(response.status, 503);
    const { error } = (await response.json()) as ErrorBody;
    assert.equal(error.code, 'start_failed');
    assert.match(error.message, /no-such-engine/);
  });

  test('an engine that dies at start: its last lines and the cause, in the terminal and in the 503', async (t) => {
    const gateway = await startGateway(
      t,
      [
        fakeModel(
          'm',
          { exit_at: 'boot', boot_error: 'CUDA out of memory. Tried to allocate 2.00 GiB' },
          {},
          { timeouts: { queue_s: 0.2 } },
        ),
      ],
      {
        until: /Listening at/,
      },
    );
    assert.match(gateway.output(), /CUDA out of memory\. Tried to allocate 2\.00 GiB/);
    const response = await gateway.post(ask('m'));
    assert.equal(response.status, 503);
    assert.match(response.headers.get('retry-after') ?? '', /^\d+$/);
    assert.match(((await response.json()) as ErrorBody).error.message, /CUDA out of memory/);
  });
});

describe('draining', () => {
  test('what runs ends, and the gateway says what it waits for', async (t) => {
    const gateway = await startGateway(t, [fakeModel('m', { tokens: 20, tokens_per_s: 20 })]);
    const response = await gateway.post(ask('m', { stream: true }));
    const reader = (response.body ?? assert.fail()).getReader();
    await reader.read();
    gateway.signal('SIGTERM');
    await gateway.printed(/Waiting for 1 request to end \(at most \d+ s; SIGTERM again stops now\)/);
    let rest = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) rest += Buffer.from(part.value).toString();
    assert.match(rest, /data: \[DONE\]\n\n$/);
    assert.deepEqual(await gateway.exited, { code: 0, signal: null });
    assert.deepEqual(await gateway.engines(), []);
  });

  test('past its limit a stream ends with an error event, and no [DONE]', async (t) => {
    const gateway = await startGateway(t, [fakeModel('m', { tokens: 1000, tokens_per_s: 5 })], { more: { timeouts: { drain_s: 0.2 } } });
    const response = await gateway.post(ask('m', { stream: true }));
    const text = response.text();
    gateway.signal('SIGTERM');
    assert.match(await text, /data: \{"error":\{[^\n]*"code":"shutting_down"\}\}\n\n$/);
    assert.deepEqual(await gateway.exited, { code: 0, signal: null });
    assert.deepEqual(await gateway.engines(), []);
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test(`${signal} twice at once, as npm sends it, still drains`, async (t) => {
      const gateway = await startGateway(t, [fakeModel('m', { tokens: 10, tokens_per_s: 20 })]);
      const response = await gateway.post(ask('m', { stream: true }));
      const text = response.text();
      gateway.signal(signal);
      gateway.signal(signal);
      assert.match(await text, /data: \[DONE\]\n\n$/);
      assert.deepEqual(await gateway.exited, { code: 0, signal: null });
      assert.deepEqual(await gateway.engines(), []);
    });
  }

  test('a second signal stops at once', async (t) => {
    const gateway = await startGateway(t, [fakeModel('m', { tokens: 1000, tokens_per_s: 5, ignore_sigterm: true })]);
    const cut = assert.rejects(gateway.post(ask('m', { stream: true })).then((response) => response.text()));
    await gateway.printed(/Ready at/);
    while (!/in_flight\{model="m"\} 1\n/.test(await gateway.metrics()));
    gateway.signal('SIGINT');
    // Said anew every two seconds: by then another signal is not the first one's echo.
    await gateway.printed(/Waiting for 1 request[\s\S]*Waiting for 1 request/);
    gateway.signal('SIGINT');
    assert.deepEqual(await gateway.exited, { code: 130, signal: null });
    await cut;
    assert.deepEqual(await gateway.engines(), []);
  });
});

describe('kill -9 of a replica', () => {
  test('requests without a byte are answered by another one, and it comes back', async (t) => {
    const gateway = await startGateway(t, [fakeModel('m', { prefill_s: 0.4 }, { num_replicas: 2 })]);
    const [before] = await gateway.status();
    const victim = before?.replicas[0]?.pid ?? assert.fail();
    const replies = Array.from({ length: 8 }, () => gateway.post(ask('m')));
    while (!(await gateway.status())[0]?.replicas.every(({ inFlight }) => inFlight === 4));
    process.kill(victim, 'SIGKILL');
    for (const reply of replies) assert.equal((await reply).status, 200);
    await gateway.printed(/killed by SIGKILL/);
    await gateway.printed(/m #0: ready[\s\S]*m #0: ready/);
    const [after] = await gateway.status();
    assert.equal(after?.replicas[0]?.restarts, 1);
    assert.notEqual(after?.replicas[0]?.pid, victim);
  });

  test('with a single replica they wait for the restart', async (t) => {
    const gateway = await startGateway(t, [fakeModel('m', { prefill_s: 0.2 })]);
    const reply = gateway.post(ask('m'));
    while ((await gateway.status())[0]?.replicas[0]?.inFlight !== 1);
    process.kill((await gateway.status())[0]?.replicas[0]?.pid ?? assert.fail(), 'SIGKILL');
    assert.equal((await reply).status, 200);
  });

  test('a stream that had begun ends with an error event', async (t) => {
    const gateway = await startGateway(t, [fakeModel('m', { tokens: 1000, tokens_per_s: 20 }, { num_replicas: 2 })]);
    const response = await gateway.post(ask('m', { stream: true }));
    const replicas = (await gateway.status())[0]?.replicas ?? [];
    process.kill(replicas.find(({ inFlight }) => inFlight === 1)?.pid ?? assert.fail(), 'SIGKILL');
    const received = await response.text();
    assert.match(received, /^data: \{"id"/);
    assert.match(received, /data: \{"error":\{[^\n]*"code":"upstream_failed"\}\}\n\n$/);
  });
});
