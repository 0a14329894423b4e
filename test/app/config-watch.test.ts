import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { look, watchConfig, watchIntervalMs } from '../../src/app/config-watch.ts';
import { loadConfig } from '../../src/config/load.ts';
import { engines } from '../../src/plugins/registry.ts';
import { tempDir } from '../support/gateway-process.ts';
import { ManualClock, settle } from '../support/manual-clock.ts';
import { until } from '../support/until.ts';

const cases: readonly (readonly [string, { read: string; last: string }, string, boolean])[] = [
  ['as it was read', { read: 'a', last: 'a' }, 'a', false],
  ['changed just now', { read: 'a', last: 'a' }, 'b', false],
  ['left alone since', { read: 'a', last: 'b' }, 'b', true],
  ['still being written', { read: 'a', last: 'b' }, 'c', false],
  ['changed back', { read: 'a', last: 'b' }, 'a', false],
];
for (const [what, before, now, isToRead] of cases)
  test(`a look at files: ${what}`, () => {
    assert.deepEqual(look(before, now), { next: { read: isToRead ? now : before.read, last: now }, isToRead });
  });

const entry = '{model_loading_config: {model_id: m}, llm_engine: fake}';

/** Resolves when the watch has looked, and sleeps until its next look. */
const looked = (clock: ManualClock): Promise<void> =>
  until('the files were looked at', async () => {
    await settle();
    return clock.pending === 1;
  });

/** A watch of a config that names a second file. `pass` lets one interval go by, and resolves when the files were looked at. */
async function watched(t: TestContext): Promise<{
  readonly main: string;
  readonly named: string;
  readonly reloads: () => number;
  readonly pass: () => Promise<void>;
}> {
  const dir = await tempDir(t);
  const [main, named] = [join(dir, 'serve.yaml'), join(dir, 'm.yaml')];
  await writeFile(main, `llm_configs: [m.yaml]\ngateway: {state_dir: ${dir}}\n`);
  await writeFile(named, entry);
  const deps = { env: {}, engines, cores: 2, homeDir: dir };
  const loaded = loadConfig(main, deps);
  const clock = new ManualClock();
  const stop = new AbortController();
  let count = 0;
  const reload = async (): Promise<void> => void (count += 1);
  const over = watchConfig(loaded, { clock, env: {}, reload }, stop.signal);
  t.after(async () => {
    stop.abort();
    await over;
  });
  await looked(clock);
  const pass = async (): Promise<void> => {
    await clock.advance(watchIntervalMs);
    await looked(clock);
  };
  return { main, named, reloads: () => count, pass };
}

test('a watch asks for a reload once for each new text, when the file was left alone for an interval', async (t) => {
  const { named, reloads, pass } = await watched(t);
  for (let at = 0; at < 3; at += 1) await pass();
  assert.equal(reloads(), 0, 'nothing was changed');
  await writeFile(named, `${entry} # changed`);
  await pass();
  assert.equal(reloads(), 0, 'perhaps it is still being written');
  await pass();
  assert.equal(reloads(), 1);
  for (let at = 0; at < 3; at += 1) await pass();
  assert.equal(reloads(), 1, 'once');
  await writeFile(named, `${entry} # changed`);
  for (let at = 0; at < 3; at += 1) await pass();
  assert.equal(reloads(), 1, 'written again with the same text');
});

test('a watch sees a change that was made between loading the config and its first look', async (t) => {
  const dir = await tempDir(t);
  const main = join(dir, 'serve.yaml');
  await writeFile(main, `llm_configs: [${entry}]\ngateway: {state_dir: ${dir}}\n`);
  const loaded = loadConfig(main, { env: {}, engines, cores: 2, homeDir: dir });
  await writeFile(main, `llm_configs: [${entry}]\ngateway: {state_dir: ${dir}, workers: 1}\n`);
  const clock = new ManualClock();
  const stop = new AbortController();
  const asked = Promise.withResolvers<void>();
  const over = watchConfig(loaded, { clock, env: {}, reload: async () => asked.resolve() }, stop.signal);
  await looked(clock);
  await clock.advance(watchIntervalMs);
  await asked.promise;
  stop.abort();
  await over;
});

test('a file that a changed config names is watched from then on, also one that is not there yet', async (t) => {
  const { main, named, reloads, pass } = await watched(t);
  await rm(named);
  for (let at = 0; at < 2; at += 1) await pass();
  assert.equal(reloads(), 1, 'a file that went is a change');
  const other = join(main, '../other.yaml');
  await writeFile(main, 'llm_configs: [other.yaml]\n');
  for (let at = 0; at < 2; at += 1) await pass();
  assert.equal(reloads(), 2);
  await writeFile(other, entry);
  for (let at = 0; at < 2; at += 1) await pass();
  assert.equal(reloads(), 3);
});
