import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { rawRequest } from '../support/raw-http.ts';
import { runGateway, tempDir } from '../support/gateway-process.ts';
import { probed } from './support/memory.ts';
import { chat, rawClient } from './support/raw.ts';
import { model, row, type Victim } from './support/row.ts';

row(108, async ({ t, start }) => {
  const dir = await tempDir(t);
  for (const name of ['adapters', 'adapters/good', 'outside']) {
    await mkdir(join(dir, name));
    await writeFile(join(dir, name, 'adapter_config.json'), '{"peft_type": "LORA", "r": 2}');
  }
  const lora = { dynamic_lora_loading_path: join(dir, 'adapters') };
  const gateway = await start([{ ...model('m'), lora_config: lora }]);
  const client = rawClient(gateway);
  await gateway.pidOf('m');
  const outside = join(dir, 'outside');
  const names = [
    '',
    '.',
    '..',
    '../outside',
    '../../etc',
    outside,
    '/etc',
    'a/b/c',
    'good/../../outside',
    'good/..',
    '@',
    'good@..',
    'good@../x',
  ];
  const spelt = [
    '%2e%2e%2foutside',
    '..%2foutside',
    String.raw`..\outside`,
    '..\u2215outside',
    '\uFF0E\uFF0E\uFF0Foutside',
    'g\u043E\u043Ed',
    'good\0',
    'good ',
    'good\n',
  ];
  for (const name of [...names, ...spelt, 'x'.repeat(4096)]) {
    const { status, code } = await client.post(chat({ model: `m:${name}` }));
    assert.deepEqual([status, code], [404, 'adapter_not_found'], name);
  }
  assert.equal((await (await gateway.engine('m')).state()).adapterLoads, 0);
  assert.equal((await client.post(chat({ model: 'm:good' }))).status, 200);
});

const sockets = 10;

/** Sends requests in rows on a few connections. @returns how often each status came */
async function inRows(
  gateway: Victim,
  count: number,
  bodyOf: (index: number) => { body: object; headers?: readonly string[] },
): Promise<object> {
  const each = count / sockets;
  const client = rawClient(gateway);
  const answers = await Promise.all(
    Array.from({ length: sockets }, (_, socket) => {
      const requests = Array.from({ length: each }, (__, at) => {
        const { body, headers = [] } = bodyOf(socket * each + at);
        const bytes = rawRequest({ body: JSON.stringify(body), headers: ['Content-Type: application/json', ...headers] });
        return at === each - 1 ? bytes : Buffer.from(bytes.toString('latin1').replace('Connection: close\r\n', ''), 'latin1');
      });
      return client.send([Buffer.concat(requests)], each);
    }),
  );
  const statuses = answers.flatMap((answer) => answer.statuses);
  return Object.fromEntries([...new Set(statuses)].map((status) => [status, statuses.filter((one) => one === status).length]));
}

const series = async (gateway: Victim): Promise<readonly string[]> => {
  const page = await gateway.metrics();
  return page
    .split('\n')
    .map((line) => line.replace(/ [^ ]+$/u, ''))
    .filter((line) => !line.startsWith('#'))
    .toSorted();
};

row(111, async ({ start, flat }) => {
  const gateway = await start([model('m')], probed);
  await gateway.pidOf('m');
  const logged = (): string => gateway.log().replaceAll(/^\{"memory":.*$/gmu, '');
  const half = 50_000;
  let round = 0;
  const names = async (count: number): Promise<void> => {
    round += 1;
    const got = await inRows(gateway, count, (index) => ({ body: { model: `nobody-${round}-${index}`, messages: [] } }));
    assert.deepEqual(got, { 404: count });
  };
  await names(100);
  const before = { series: await series(gateway), log: logged().length };
  await flat(gateway, () => names(half));
  assert.deepEqual(await series(gateway), before.series);
  assert.ok(logged().length - before.log < 10_000, 'nothing is logged for each');
  assert.ok(!(logged() + (await gateway.metrics())).includes('nobody-'));
});

const escape = '\u001b[31m';

row(112, async ({ start }) => {
  const gateway = await start([model('m')], { more: { log: { level: 'trace' } } });
  const client = rawClient(gateway);
  await gateway.pidOf('m');
  const evil = `a\r\n{"level":60,"msg":"forged"}\n${escape}red`;
  const answers = [
    await client.post(chat({ model: evil })),
    await client.post(chat({ user: evil })),
    await client.post(chat({ [evil]: 1 })),
    await client.ask({ method: 'GET', target: `/v1/models/${encodeURIComponent(evil)}`, headers: [] }),
    await client.ask({ method: 'GET', target: `/${encodeURIComponent(evil)}`, headers: [] }),
    await client.ask({ headers: ['Content-Type: application/json', `X-Request-Id: ${escape}`], body: JSON.stringify(chat()) }),
    await client.ask({ headers: ['Content-Type: application/json', 'X-Request-Id: a"b c'], body: JSON.stringify(chat()) }),
    await client.ask({ headers: ['Content-Type: application/json', 'User-Agent: \x9b31m\xff'], body: JSON.stringify(chat()) }),
  ];
  assert.deepEqual(
    answers.map(({ status }) => status),
    [404, 200, 200, 404, 404, 400, 200, 200],
  );
  const { stdout, stderr } = await runGateway(['status', '-c', gateway.configFile]);
  for (const text of [...answers.map((answer) => answer.text), gateway.log(), gateway.output(), stdout, stderr, await gateway.metrics()]) {
    assert.ok(!text.includes('\u001b') && !text.includes('\x9b'), text);
    assert.doesNotMatch(text, /^\{"level":60,"msg":"forged"/mu);
  }
  for (const line of gateway.log().trim().split('\n')) assert.doesNotThrow(() => JSON.parse(line), line);
  const ids = answers.map(({ text }) => /^x-request-id: (.*)\r$/imu.exec(text)?.[1]);
  assert.match(ids[6] ?? '', /^[\w-]{36}$/u, 'an id that is none is replaced');
});

row(114, async ({ start }) => {
  const gateway = await start([model('m', {}, { max_queued_requests: -1 })]);
  await gateway.pidOf('m');
  const users = async (first: number, count: number): Promise<void> => {
    const got = await inRows(gateway, count, (index) => ({
      body: chat({ user: `user-${first + index}`, prompt_cache_key: `key-${first + index}` }),
      headers: [`X-Request-Id: request-${first + index}`],
    }));
    assert.deepEqual(got, { 200: count });
  };
  await users(0, 100);
  const before = await series(gateway);
  await users(100, 10_000);
  assert.deepEqual(await series(gateway), before);
  assert.doesNotMatch(before.join('\n'), /user-|request-/u);
});
