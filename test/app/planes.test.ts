import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { pino } from 'pino';
import { closePlanes, makeStateDir, openPlanes, type Planes } from '../../src/app/planes.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { engines } from '../../src/plugins/registry.ts';
import { temporaryFolder } from '../config/load-text.ts';
import { until } from '../support/until.ts';

function configOf(t: TestContext, port = 0): Config {
  const folder = temporaryFolder(t);
  const file = join(folder, 'config.yaml');
  writeFileSync(
    file,
    `llm_configs: [{model_loading_config: {model_id: m}, llm_engine: fake}]\ngateway: {workers: 2, state_dir: ./state, listen: {port: ${port}}, admin: {port: 0}}\n`,
  );
  const { config } = loadConfig(file, { env: {}, engines, cores: 2, homeDir: folder });
  makeStateDir(config.stateDir);
  return config;
}

const open = (config: Config): Promise<Planes> =>
  openPlanes(config, {
    engines,
    log: pino({ level: 'silent' }),
    logFile: '/dev/null',
    logLinesDropped: () => 0,
    env: process.env,
  });

test('a request that comes before the engines are started waits for them', async (t) => {
  const planes = await open(configOf(t));
  t.after(() => closePlanes(planes, AbortSignal.abort()));
  const { supervisor, config, provider, data, admin } = planes;
  const url = `http://127.0.0.1:${data.port}`;
  assert.deepEqual(
    ((await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] }).data.map(({ id }) => id),
    ['m'],
  );
  assert.equal((await fetch(`${url}/ready`)).status, 503);
  const asked = fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }] }),
  });
  await until('it waits', async () => {
    const status = (await (await fetch(`http://127.0.0.1:${admin.port}/api/status`)).json()) as { models: { waiting: number }[] };
    return status.models[0]?.waiting === 1;
  });
  await supervisor.recover(config, provider);
  assert.equal((await asked).status, 200);
});

test('a taken port leaves nothing behind', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const address = taken.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  await assert.rejects(open(configOf(t, port)), { code: 'port_in_use' });
});
