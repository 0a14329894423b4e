import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fakeModel, runGateway, startGateway } from '../support/gateway-process.ts';

const key = 'canary-user-0123456789';
const adminKey = 'canary-admin-0123456789';

test('with keys set `gateway chat` needs one, the admin listener its own, and commands over the socket none; no key is shown', async (t) => {
  const gateway = await startGateway(t, [fakeModel('m')], {
    more: {
      keys: [{ name: 'alice', key }],
      admin: { host: '127.0.0.1', port: 0, key: adminKey },
      log: { level: 'trace' },
    },
  });
  const file = join(dirname(gateway.configFile), 'key');
  await writeFile(file, `${key}\n`, { mode: 0o600 });
  const chat = ['chat', 'm', '-m', 'hi', '--state-dir', gateway.stateDir];
  const refused = await runGateway(chat);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /A valid API key is required/);
  const answered = await runGateway([...chat, '--api-key-file', file]);
  assert.equal(answered.code, 0, answered.stderr);
  assert.ok(answered.stdout.length > 1);
  assert.equal((await runGateway([...chat, '--api-key-file', `${file}-nowhere`])).code, 2);

  const scrape = (value?: string): Promise<Response> =>
    fetch(`${gateway.adminUrl}/metrics`, { headers: value === undefined ? {} : { authorization: `Bearer ${value}` } });
  assert.deepEqual([(await scrape()).status, (await scrape(key)).status, (await scrape(adminKey)).status], [401, 403, 200]);

  const shown = [gateway.output(), gateway.log(), refused.stdout, refused.stderr, answered.stderr, await (await scrape(adminKey)).text()];
  for (const verb of ['status', 'plan', 'reload']) {
    const { code, stdout, stderr } = await runGateway([verb, '--json', '-c', gateway.configFile]);
    assert.equal(code, 0, stderr);
    shown.push(stdout, stderr);
  }
  for (const entry of await readdir(gateway.stateDir, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) shown.push(await readFile(join(entry.parentPath, entry.name), 'utf8'));
  assert.doesNotMatch(shown.join('\n'), /canary/);
  assert.ok(shown.join('').includes('roundhouse_requests_total'));
});
