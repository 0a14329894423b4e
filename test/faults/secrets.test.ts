import assert from 'node:assert/strict';
import { chmod, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'undici';
import { tempDir } from '../support/gateway-process.ts';
import { model, row } from './support/row.ts';

row(122, async ({ t, start }) => {
  const canary = 'open-sesame-canary';
  const log = [`token ${canary}`, 'Authorization: Bearer canary-canary', 'GET https://host/w?X-Amz-Signature=canary'];
  const env = { runtime_env: { env_vars: { HF_TOKEN: canary } } };
  // Engines inherit it: no model names it.
  const inherited = 'sesame-of-the-gateway-canary';
  log.push(`hub said ${inherited}`);
  const chatty = { ...model('chatty', { log }), ...env };
  const failing = { ...model('failing', { log, exit_at: 'boot' }, {}, { timeouts: { queue_s: 0.2 } }), ...env };
  const gateway = await start([chatty, failing], { env: { HF_TOKEN: inherited, AWS_SECRET_ACCESS_KEY: inherited } });
  const client = new Client('http://localhost', { socketPath: join(gateway.stateDir, 'admin.sock') });
  t.after(() => client.destroy());
  const read = async (path: string): Promise<string> => (await client.request({ method: 'GET', path })).body.text();
  const logs = await read('/api/logs?target=chatty');
  const refusal = await gateway.ask('failing');
  assert.equal(refusal.status, 503);
  const status = await read('/api/status');
  for (const shown of [logs, status, gateway.output(), refusal.text]) assert.match(shown, /\[redacted\]/u);
  for (const shown of [logs, status, gateway.output(), gateway.log(), refusal.text]) assert.doesNotMatch(shown, /canary/u);
});

const others = 0o077;

row(123, async ({ t, start }) => {
  const stateDir = join(await tempDir(t), 'state');
  const first = await start([model('m')], { stateDir });
  await first.pidOf('m');
  const entries = (await readdir(stateDir, { recursive: true })).map((name) => join(stateDir, name));
  for (const path of [stateDir, ...entries]) assert.equal((await stat(path)).mode & others, 0, `${path} is its owner’s alone`);
  assert.ok(entries.length > 4, 'lock, owner, leases, logs, socket');
  first.signal('SIGTERM');
  await first.exited;
  await chmod(stateDir, 0o755);
  const second = await start([model('m')], { stateDir });
  assert.match(second.output(), /warning: the state directory [^\n]* could be read by other users \(mode 0755\); it is now 0700/u);
  assert.equal((await stat(stateDir)).mode & 0o777, 0o700);
});
