import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { request } from 'undici';
import { runGateway } from '../support/gateway-process.ts';
import { model, row, type Victim } from './support/row.ts';

const key = 'canary-user-key-0123456789';
const keys = [{ name: 'alice', key }];

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** One request on a connection of its own. */
async function send(url: string, headers: Readonly<Record<string, string>> = {}, body?: string): Promise<Answer> {
  const method = body === undefined ? 'GET' : 'POST';
  const sent = { connection: 'close', ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers };
  const reply = await request(url, { method, headers: sent, body: body ?? null, reset: true });
  return { status: reply.statusCode, headers: reply.headers, text: await reply.body.text() };
}

const chat = (name: string): string => JSON.stringify({ model: name, messages: [{ role: 'user', content: 'one two three' }] });

async function ask(gateway: Victim, headers: Readonly<Record<string, string>>): Promise<Answer> {
  gateway.sentByHand(1);
  return send(`${gateway.url}/v1/chat/completions`, headers, chat('m'));
}

row(115, async ({ start }) => {
  const gateway = await start([model('m')], { more: { keys } });
  await gateway.pidOf('m');
  const wrong: readonly Record<string, string>[] = [
    {},
    { authorization: 'Bearer wrong' },
    { authorization: `Bearer ${key}x` },
    { authorization: `Basic ${Buffer.from(`alice:${key}`).toString('base64')}` },
    { authorization: key },
    { 'x-api-key': 'wrong' },
  ];
  const answers = new Set<string>();
  for (const headers of wrong) {
    const { status, headers: got, text } = await ask(gateway, headers);
    answers.add(JSON.stringify([status, got['www-authenticate'], text]));
  }
  assert.equal(answers.size, 1, 'all are answered alike');
  assert.match([...answers].join(), /^\[401,"Bearer".*invalid_api_key/u);
  for (const headers of [{ authorization: `Bearer ${key}` }, { 'x-api-key': key }]) assert.equal((await ask(gateway, headers)).status, 200);
});

/** One application below `/one`, with a key of its own. */
const keyedApplication =
  (apiKey: string) =>
  (models: readonly object[]): object => ({
    applications: [
      {
        name: 'one',
        route_prefix: '/one',
        import_path: 'ray.serve.llm:build_openai_app',
        args: { llm_configs: models, api_key: apiKey },
      },
    ],
  });

row(117, async ({ start }) => {
  const given = {
    key,
    file: 'canary-key-of-a-file-0123456789',
    env: 'canary-key-of-the-environment-0123456789',
    application: 'canary-key-of-an-application-0123456789',
  };
  const secrets = { ...given, hub: 'canary-hub-token-0123456789', wrong: 'canary-wrong-key-0123456789' };
  const log = [`HF_TOKEN is ${secrets.hub}`, `Authorization: Bearer ${key}`];
  const env = { runtime_env: { env_vars: { HF_TOKEN: secrets.hub } } };
  const all = [...keys, { name: 'bob', key_file: './bob.key' }, { name: 'carol', key: '${CAROLS_KEY}' }];
  const gateway = await start(
    [
      { ...model('m', { log }), ...env },
      { ...model('failing', { log, exit_at: 'boot' }, {}, { timeouts: { queue_s: 0.2 } }), ...env },
    ],
    {
      more: { keys: all, log: { level: 'trace' } },
      shape: keyedApplication(given.application),
      prepare: (dir) => writeFile(join(dir, 'bob.key'), `${given.file}\n`, { mode: 0o600 }),
      env: { CAROLS_KEY: given.env },
    },
  );
  const environment = await readFile(`/proc/${await gateway.pidOf('m')}/environ`, 'utf8');
  const own = /FAKE_API_KEY=(\w{32,})/u.exec(environment)?.[1] ?? assert.fail('the engine has a key of its own');
  const shown: string[] = [];
  const asked = async (path: string, presented: string, body?: string): Promise<number> => {
    gateway.sentByHand(body === undefined ? 0 : 1);
    const { status, headers: got, text } = await send(gateway.url + path, { authorization: `Bearer ${presented}` }, body);
    shown.push(JSON.stringify(got), text);
    return status;
  };
  for (const presented of Object.values(given)) assert.equal(await asked('/one/v1/chat/completions', presented, chat('m')), 200);
  assert.equal(await asked('/one/v1/chat/completions', key, chat('failing')), 503);
  for (const presented of [secrets.wrong, own])
    assert.equal(await asked(`/one/v1/chat/completions?api_key=${presented}`, presented, chat('m')), 401);
  await asked('/one/v1/models', key);
  await asked('/health', key);
  for (const path of [
    '/metrics',
    '/api/status',
    '/api/plan',
    '/api/autoscale',
    '/api/adapters',
    '/openapi.json',
    '/engines/m/metrics',
    '/engines/m/fake/state',
  ])
    shown.push((await send(gateway.adminUrl + path)).text);
  shown.push(JSON.stringify(await gateway.reload()));
  for (const verb of ['status', 'status --json', 'logs', 'plan', 'validate', 'doctor', 'lora ls']) {
    const args = [...verb.split(' '), '-c', gateway.configFile];
    const { stdout, stderr } = await runGateway(args, undefined, { ...process.env, CAROLS_KEY: given.env });
    assert.ok(stdout.length + stderr.length > 0, verb);
    shown.push(stdout, stderr);
  }
  shown.push(gateway.output(), gateway.log());
  assert.ok(shown.join('').length > 3000 && /\[redacted\]/u.test(shown.join('')), 'there is something to look at');
  for (const [name, secret] of Object.entries({ ...secrets, own }))
    assert.ok(!shown.join('\n').includes(secret), `${name} is shown nowhere`);
  const files = (await readdir(gateway.stateDir, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  for (const { parentPath, name } of files) {
    const file = join(parentPath, name);
    // What an engine itself wrote stays as it was: its owner's alone.
    if (parentPath.endsWith('logs')) assert.equal((await stat(file)).mode & 0o077, 0, file);
    else for (const secret of Object.values(given)) assert.ok(!(await readFile(file, 'utf8')).includes(secret), file);
  }
});

row(118, async ({ start }) => {
  const gateway = await start([model('m')], { more: { keys } });
  const paths = ['/metrics', '/api/status', '/api/plan', '/api/logs', '/engines/m/health', '/engines/m%230/metrics'];
  for (const headers of [{}, { authorization: `Bearer ${key}` }])
    for (const path of paths) {
      gateway.sentByHand(1);
      assert.equal((await send(gateway.url + path, headers)).status, 404, path);
    }
  for (const path of ['/api/stop', '/api/reload', '/api/scale', '/api/restart']) {
    gateway.sentByHand(1);
    assert.equal((await send(gateway.url + path, { authorization: `Bearer ${key}` }, '{}')).status, 404, path);
  }
});

row(119, async ({ start }) => {
  const gateway = await start([model('m')], { more: { keys } });
  const refused = await send(`${gateway.adminUrl}/api/status`, { authorization: `Bearer ${key}` });
  assert.equal(refused.status, 403);
  assert.match(refused.text, /key_not_permitted/u);
  for (const verb of ['validate', 'start']) {
    const open = await openAdmin(gateway, {}, verb);
    assert.equal(open.code, 4, open.stderr);
    assert.match(open.stderr, /config-open\.yaml:\d+:\d+: gateway\.admin\.host: whoever reaches 0\.0\.0\.0 could stop the gateway/u);
  }
  assert.equal((await openAdmin(gateway, { key: 'an-admin-key-0123456789' }, 'validate')).code, 0);
});

/** What becomes of a config whose admin listener others can reach. */
async function openAdmin(gateway: Victim, admin: object, verb: string): ReturnType<typeof runGateway> {
  const file = join(gateway.stateDir, 'config-open.yaml');
  const text = JSON.parse(await readFile(gateway.configFile, 'utf8')) as { gateway: object };
  await writeFile(file, JSON.stringify({ ...text, gateway: { ...text.gateway, admin: { host: '0.0.0.0', port: 0, ...admin } } }));
  return runGateway([verb, '-c', file]);
}

row(120, async ({ start }) => {
  const gateway = await start([model('m')]);
  const upstream = await gateway.model('m', 'has an engine', ({ replicas }) => replicas[0]?.state === 'ready' && replicas[0].upstream);
  for (const headers of [{}, { authorization: 'Bearer guess' }])
    assert.equal((await send(`${upstream}/v1/chat/completions`, headers, chat('m'))).status, 401);
  const port = Number(new URL(upstream).port).toString(16).toUpperCase().padStart(4, '0');
  const listening = (await readFile('/proc/net/tcp', 'utf8'))
    .split('\n')
    .filter((line) => new RegExp(`: \\w+:${port} \\w+:0000 0A `, 'u').test(line));
  assert.equal(listening.length, 1);
  assert.match(listening[0] ?? '', /: 0100007F:/u, 'on 127.0.0.1 alone');
});

row(121, async ({ start }) => {
  const env = { AWS_SECRET_ACCESS_KEY: 'canary-aws-0123456789', GATEWAY_KEY: key, OPENAI_API_KEY: 'canary-openai-0123456789' };
  const gateway = await start([model('m')], { more: { keys: [{ name: 'alice', key: '${GATEWAY_KEY}' }] }, env });
  const pid = await gateway.pidOf('m');
  const [command, environment] = await Promise.all(['cmdline', 'environ'].map((name) => readFile(`/proc/${pid}/${name}`, 'utf8')));
  assert.ok(command !== undefined && environment !== undefined);
  const own = /FAKE_API_KEY=(\w{32,})/u.exec(environment)?.[1];
  assert.ok(own !== undefined, 'the engine’s own key is in its environment');
  assert.ok(!command.includes(own), 'and not on its command line, which every user can read');
  assert.doesNotMatch(command + environment, /canary/u);
  assert.equal((await ask(gateway, { authorization: `Bearer ${key}` })).status, 200);
});

row(124, async ({ start }) => {
  const gateway = await start([model('m')], { more: { keys, limits: { failed_auth_per_minute: 20 } } });
  await gateway.pidOf('m');
  const statuses: number[] = [];
  for (let guess = 0; guess < 60; guess += 1) statuses.push((await ask(gateway, { authorization: `Bearer guess-${guess}` })).status);
  assert.deepEqual([...new Set(statuses)], [401, 429]);
  const looked = statuses.filter((status) => status === 401).length;
  assert.ok(looked >= 20 && looked < 60, `${looked} guesses were looked at, over both workers together`);
  const right = await ask(gateway, { authorization: `Bearer ${key}` });
  assert.equal(right.status, 429, 'nor is a right key told from a wrong one now');
  assert.ok(Number(right.headers['retry-after']) >= 1);
});

row(125, async ({ start }) => {
  const gateway = await start([model('m')], { more: { admin: { host: '127.0.0.1', port: 0, allowed_hosts: ['metrics.internal'] } } });
  const { port } = new URL(gateway.adminUrl);
  const rebound = `evil.example:${port}`;
  for (const path of ['/metrics', '/api/status', '/engines/m/health']) {
    assert.equal((await send(gateway.adminUrl + path, { host: rebound })).status, 403, path);
    assert.equal((await send(gateway.adminUrl + path, { origin: 'http://evil.example' })).status, 403, path);
  }
  assert.equal((await send(`${gateway.adminUrl}/metrics`, { host: `metrics.internal:${port}` })).status, 200);
  const form = await send(`${gateway.adminUrl}/api/stop`, { 'content-type': 'application/x-www-form-urlencoded' }, 'now=true');
  assert.equal(form.status, 403);
  assert.equal((await send(`${gateway.adminUrl}/api/stop`, { host: rebound }, '{"now":true}')).status, 403);
  await gateway.pidOf('m');
});
