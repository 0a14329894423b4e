import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { Client } from 'undici';
import type { PlanReply } from '../../src/admin/api.ts';
import { refusal } from '../../src/admin/guard.ts';
import { fakeModel, runGateway, startGateway } from '../support/gateway-process.ts';

test('over TCP nothing is changed for a web page, a rebound name or a form', () => {
  const good = { mutating: true, host: '127.0.0.1:9464', origin: undefined, contentType: 'application/json' };
  assert.equal(refusal(good, []), undefined);
  assert.match(refusal({ ...good, origin: 'http://evil.example' }, []) ?? '', /evil/);
  assert.match(refusal({ ...good, host: 'evil.example' }, []) ?? '', /evil/);
  assert.match(refusal({ ...good, contentType: 'text/plain' }, []) ?? '', /text\/plain/);
});

test('over TCP nothing is read for a web page or a rebound name, and scrapers come by address or by a name of the config', () => {
  const scrape = { mutating: false, host: undefined, origin: undefined, contentType: undefined };
  const allowed = ['Metrics.Internal'];
  for (const host of ['127.0.0.1:9464', '10.0.0.5:9464', '[::1]:9464', '[fd00::7]', 'localhost', 'LOCALHOST:1', 'metrics.internal:9464'])
    assert.equal(refusal({ ...scrape, host }, allowed), undefined, host);
  for (const host of [undefined, '', 'evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', 'metrics.internal.evil', '1.2.3'])
    assert.match(refusal({ ...scrape, host }, allowed) ?? '', /^Host .* is not known/, host);
  assert.match(refusal({ ...scrape, host: '127.0.0.1', origin: 'null' }, allowed) ?? '', /web pages/);
});

test('the socket plans, reloads, scales and stops; an invalid file changes nothing', async (t) => {
  const gateway = await startGateway(t, [fakeModel('kept'), fakeModel('gone')]);
  const path = join(gateway.stateDir, 'admin.sock');
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  const client = new Client('http://localhost', { socketPath: path });
  t.after(() => client.destroy());
  const call = async (method: 'GET' | 'POST', route: string, body?: object): Promise<{ status: number; json: Record<string, unknown> }> => {
    const given = body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const reply = await client.request({ method, path: route, ...given });
    return { status: reply.statusCode, json: (await reply.body.json()) as Record<string, unknown> };
  };
  const file = join(dirname(gateway.stateDir), 'config.yaml');
  const pidOf = async (name: string) => (await gateway.status()).find((model) => model.name === name)?.replicas[0]?.pid;
  const pid = await pidOf('kept');
  assert.ok(pid !== undefined);

  const second = await runGateway(['start', '-c', file]);
  assert.equal(second.code, 3);
  assert.match(second.stderr, new RegExp(`${gateway.pid}`));

  const text = await readFile(file, 'utf8');
  await writeFile(file, 'llm_configs: nope\n');
  const refused = await call('POST', '/api/reload', {});
  assert.equal(refused.status, 422);
  assert.equal((await gateway.status()).length, 2);

  await writeFile(file, text.replace('"gone"', '"fresh"'));
  const expected = [
    { model: 'kept', action: 'keep', keys: [] },
    { model: 'fresh', action: 'add', keys: [] },
    { model: 'gone', action: 'remove', keys: [] },
  ];
  assert.deepEqual((await call('GET', '/api/plan')).json['models'], expected);
  const planned = (await call('GET', `/api/plan?config=${file}&config=${file}`)).json['error'] as { message: string } | undefined;
  assert.match(planned?.message ?? '', /config\.yaml:/, 'a file that is given twice gives its settings twice');
  const { pid: planner, launch } = (await call('GET', `/api/plan?config=${file}`)).json as unknown as PlanReply;
  assert.equal(planner, gateway.pid);
  assert.deepEqual(
    launch.replicas.map(({ replica, running }) => [replica, running]),
    [
      ['kept-0', true],
      ['fresh-0', false],
    ],
  );
  assert.deepEqual(
    launch.leaving.map(({ replica }) => replica),
    ['gone-0'],
  );
  assert.equal((await gateway.status()).length, 2, 'a plan changes nothing');
  assert.deepEqual((await call('POST', '/api/reload', {})).json['models'], expected);
  assert.equal(await pidOf('kept'), pid);
  assert.deepEqual((await call('POST', '/api/scale', { model: 'kept', replicas: 2 })).json, {
    model: 'kept',
    from: 1,
    to: 2,
    autoscaled: false,
  });
  assert.equal((await call('POST', '/api/scale', { model: 'nope', replicas: 2 })).status, 404);
  assert.equal((await call('GET', '/api/logs?target=nope')).status, 404);
  assert.deepEqual((await call('POST', '/api/stop', {})).json, { pid: gateway.pid });
  assert.equal((await gateway.exited).code, 0);
  assert.deepEqual(await gateway.engines(), []);
});

test('logs, status and failures of an engine show no secret, by value or by form', async (t) => {
  const canary = 'open-sesame-canary';
  const lines = [`token ${canary}`, 'Authorization: Bearer canary-canary', 'GET https://host/w?X-Amz-Signature=canary'];
  const chatty = fakeModel('chatty', { log: lines });
  const failing = fakeModel('failing', { log: lines, exit_at: 'boot' });
  const env = { runtime_env: { env_vars: { HF_TOKEN: canary } } };
  const gateway = await startGateway(t, [
    { ...chatty, ...env },
    { ...failing, ...env },
  ]);
  const client = new Client('http://localhost', { socketPath: join(gateway.stateDir, 'admin.sock') });
  t.after(() => client.destroy());
  const read = async (path: string): Promise<string> => (await client.request({ method: 'GET', path })).body.text();
  const logs = await read('/api/logs?target=chatty');
  assert.match(logs, /token \[redacted\]/);
  const status = await read('/api/status');
  assert.match(status, /token \[redacted\]/, 'the failure quotes the log');
  for (const shown of [logs, status, gateway.output(), gateway.log()]) assert.doesNotMatch(shown, /canary/);
});
