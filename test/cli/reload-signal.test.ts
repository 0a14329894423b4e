import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { configText, fakeModel, type GatewayProcess, startGateway, tempDir } from '../support/gateway-process.ts';
import { until } from '../support/until.ts';
import { atTerminal, skipTerminal } from '../support/terminal.ts';

const main = join(import.meta.dirname, '../../src/main.ts');

/** The value of a series without labels. */
async function series(gateway: GatewayProcess, name: string): Promise<number> {
  const page = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'mu').exec(page)?.[1]);
}

const successful = 'roundhouse_config_last_reload_successful';
const successAt = 'roundhouse_config_last_reload_success_timestamp_seconds';

test('without a terminal SIGHUP reads the config again; one that is not valid changes nothing, and shows in the metrics', async (t) => {
  const gateway = await startGateway(t, [fakeModel('kept')]);
  const pidOf = async (): Promise<number | undefined> => (await gateway.status()).find(({ name }) => name === 'kept')?.replicas[0]?.pid;
  const pid = await pidOf();
  const startedAt = await series(gateway, successAt);
  assert.equal(await series(gateway, successful), 1);
  assert.ok(startedAt > 1_700_000_000 && startedAt <= Date.now() / 1000);

  await writeFile(gateway.configFile, 'llm_configs: nope\n');
  gateway.signal('SIGHUP');
  await gateway.printed(/The config was not accepted; what runs goes on as it was\.\n[^\n]*config\.yaml:1:\d+: /u);
  // One page is shown to all who ask within a second.
  await until('the metrics tell', async () => (await series(gateway, successful)) === 0);
  assert.equal(await series(gateway, successAt), startedAt);
  assert.equal(await pidOf(), pid);

  await gateway.writeConfig([fakeModel('kept'), fakeModel('fresh')]);
  gateway.signal('SIGHUP');
  await gateway.printed(/The config was read again\.\n[\s\S]*fresh: ready/u);
  await until('the metrics tell', async () => (await series(gateway, successful)) === 1);
  assert.ok((await series(gateway, successAt)) >= startedAt);
  assert.equal(await pidOf(), pid);
});

test('at a terminal SIGHUP says that it was closed: the gateway stops', { skip: skipTerminal }, async (t) => {
  const cwd = await tempDir(t);
  const stateDir = join(cwd, 'state');
  const file = join(cwd, 'config.yaml');
  await writeFile(file, configText(stateDir, [fakeModel('m')]));
  const terminal = atTerminal(t, [process.execPath, main, 'start', '-c', file], {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', HOME: cwd },
  });
  await terminal.shows(/Ready at/u);
  const { pid } = JSON.parse(await readFile(join(stateDir, 'owner.json'), 'utf8')) as { pid: number };
  process.kill(pid, 'SIGHUP');
  await terminal.shows(/SIGHUP: stopping\.[\s\S]*no engine is left running/u);
  assert.equal(await terminal.exited, 0);
});
