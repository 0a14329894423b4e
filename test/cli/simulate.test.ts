import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { decide, initialState } from '../../src/autoscale/decide.ts';
import { configText, fakeModel, runGateway, tempDir } from '../support/gateway-process.ts';

const scaled = fakeModel('m', { max_num_seqs: 2 }, { autoscaling_config: { min_replicas: 0, max_replicas: 2, downscale_delay_s: 5 } });

test('a trace is simulated: a table, every change as CSV, a plot', async (t) => {
  const dir = await tempDir(t);
  const file = (name: string): string => join(dir, name);
  await writeFile(file('config.yaml'), configText(join(dir, 'state'), [scaled, fakeModel('fixed')]));
  await writeFile(file('trace.csv'), 'time_s,model,duration_s\n10,m,1\n10.5,m,1\n');
  const run = ['simulate', '-c', file('config.yaml'), '--trace', file('trace.csv'), '--cold-start', '4'];
  const { code, stdout, stderr } = await runGateway([
    ...run,
    '--csv',
    file('out.csv'),
    '--svg',
    file('out.svg'),
    '--step',
    '0.1',
    '--json',
  ]);
  assert.equal(code, 0, stderr);
  const { models } = JSON.parse(stdout) as { models: readonly unknown[] };
  assert.equal(models.length, 1);
  const { replicas, ...rest } = models[0] as { replicas: { most: number } };
  assert.deepEqual(rest, { model: 'm', requests: 2, unserved: 0, waitS: { p50: 4, p95: 4, most: 4 }, coldStarts: 1, wakes: 0, yielded: 0 });
  assert.equal(replicas.most, 1);
  const csv = (await readFile(file('out.csv'), 'utf8')).split('\n');
  assert.equal(csv[0], 'time_s,model,wanted,running,waiting,in_flight');
  assert.ok(csv.includes('10.000,m,1,0,1,0') && csv.includes('14.000,m,1,1,0,2'), csv.join('\n'));
  assert.match(await readFile(file('out.svg'), 'utf8'), /^<svg /);
});

test('what cannot be simulated is told by its place', async (t) => {
  const dir = await tempDir(t);
  const config = join(dir, 'config.yaml');
  await writeFile(config, configText(join(dir, 'state'), [scaled, fakeModel('fixed')]));
  for (const [args, message] of [
    [[], /expected one of --trace, --load and --history/],
    [['--load', 'model=fixed,rps=1,duration=1'], /fixed has a fixed number of replicas; expected one that is scaled by load: m/],
    [['--load', 'model=m,rps=1,duration=1', '--cold-start', 'soon'], /--cold-start: expected a number of seconds, got "soon"/],
    [['--load', 'model=m,rps=1,duration=1', '--gpus', 'two'], /--gpus: expected a whole number from 0 to 1024, got "two"/],
    [['--trace', join(dir, 'none.csv')], /none\.csv cannot be read/],
  ] as const) {
    const { code, stderr } = await runGateway(['simulate', '-c', config, ...args]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
  }
});

test('recorded decisions are made again, and one that differs is found', async (t) => {
  const dir = await tempDir(t);
  const history = join(dir, 'history.json');
  const rule = {
    min: 0,
    max: 2,
    initial: 0,
    upscalingFactor: 1,
    downscalingFactor: 1,
    upscaleDelayMs: 0,
    downscaleDelayMs: 0,
    lookBackMs: 1000,
    target: { ongoing: 2, source: 'config' },
    toZero: { kind: 'idle', ms: 1000 },
    aggregation: 'mean',
  } as const;
  const input = { ongoing: 0, ongoingNow: 1, running: 0, idleMs: 0, lacksGpus: false };
  const state = initialState(rule);
  const { replicas, why } = decide(rule, state, input);
  const record = { kind: 'decision', at: 0, rule, state, input, replicas, reason: why.reason };
  const replayed = async (record: object): ReturnType<typeof runGateway> => {
    await writeFile(history, JSON.stringify({ models: [{ model: 'm', history: [record] }] }));
    return runGateway(['simulate', '--history', history]);
  };
  const same = await replayed(record);
  assert.deepEqual([same.code, same.stdout], [0, 'm: 1 recorded decision, all the same now\n']);
  const other = await replayed({ ...record, replicas: 2 });
  assert.equal(other.code, 1);
  assert.match(other.stdout, /1 come out differently\n {2}1970-01-01T00:00:00\.000Z: was 2 \(cold-start\), is 1 \(cold-start\)/);
});
