import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { replay } from '../../src/autoscale/history.ts';
import { Scaler } from '../../src/autoscale/scaler.ts';
import type { Autoscaling, ModelConfig } from '../../src/config/config.ts';
import { modelName } from '../../src/core/ids.ts';
import type { ModelLoad } from '../../src/core/model-load.ts';
import { model } from '../supervisor/support/model.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { scalingRule } from '../support/scaling-rule.ts';

const rule = scalingRule({ lookBackMs: 1000 });
const named = (name: string, more: Partial<Autoscaling> = {}): ModelConfig => ({ ...model({ name }), autoscaling: { ...rule, ...more } });

/** A supervisor that is only what it was told, with replicas that are ready at once. */
class World {
  readonly clock = new ManualClock();
  readonly loads = new Map<string, ModelLoad>();
  readonly told: string[] = [];
  written: ReadonlyMap<string, number> = new Map();
  readonly scaler: Scaler;

  constructor(models: readonly ModelConfig[], kept: ReadonlyMap<string, number> = new Map()) {
    this.scaler = new Scaler({
      clock: this.clock,
      log: pino({ level: 'silent' }),
      loads: () => [...this.loads.values()],
      scale: (name, replicas, { yields, asleep }) => {
        this.told.push(`${name}=${replicas}${yields ? ' yields' : ''}${asleep ? ' asleep' : ''}`);
        this.load(name, { wanted: replicas, running: asleep ? 0 : replicas, asleep: asleep ? replicas : 0, newestSince: this.clock.now() });
      },
      findsGpus: (taker, givenUp) =>
        [...givenUp].reduce((sum, [name, count]) => sum + count * (this.loads.get(name)?.gpusEach ?? 0), 0) >=
        (this.loads.get(taker)?.gpusEach ?? 0),
      keepGpusFor: (name) => this.told.push(`next ${name ?? 'nobody'}`),
      kept: { read: () => kept, write: (targets) => (this.written = targets) },
      wallClockMs: () => 1_700_000_000_000 + this.clock.now(),
    });
    for (const { name, replicas } of this.scaler.adjusted(models)) this.load(name, { wanted: replicas, running: replicas });
    this.scaler.configure(models);
  }

  load(name: string, more: Partial<ModelLoad>): void {
    const none: ModelLoad = {
      name: modelName(name),
      waiting: 0,
      inFlight: 0,
      progress: 0,
      running: 0,
      asleep: 0,
      wanted: 0,
      newestSince: undefined,
      gpusEach: 0,
      gpuNeed: '',
      priority: 0,
      leaving: 0,
      lacksGpus: undefined,
    };
    this.loads.set(name, { ...(this.loads.get(name) ?? none), ...more });
  }

  target(name: string): number | undefined {
    return this.scaler.reports().find((report) => report.model === modelName(name))?.target;
  }
}

describe('the loop', () => {
  it('starts a replica in the turn in which a request begins to wait', () => {
    const world = new World([named('a')]);
    world.load('a', { waiting: 1 });
    world.scaler.demand(modelName('a'));
    assert.deepEqual(world.told, ['a=1']);
    world.scaler.demand(modelName('a'));
    assert.deepEqual(world.told, ['a=1'], 'one demand, one replica');
  });

  it('puts to sleep what nobody needs, wakes it in the turn in which a request begins to wait, and stops it in the end', async () => {
    const world = new World([named('a', { sleepMs: 2000, toZero: { kind: 'idle', ms: 5000 } })]);
    world.load('a', { waiting: 1 });
    world.scaler.demand(modelName('a'));
    world.load('a', { waiting: 0 });
    await world.clock.advance(2200);
    assert.deepEqual(world.told, ['a=1', 'a=1 asleep']);
    world.load('a', { waiting: 1 });
    world.scaler.demand(modelName('a'));
    assert.deepEqual(world.told.slice(2), ['a=1']);
    world.load('a', { waiting: 0 });
    await world.clock.advance(5200);
    assert.deepEqual(world.told.slice(3), ['a=1 asleep', 'a=0']);
    const [report] = world.scaler.reports();
    assert.deepEqual(report?.changes, { 'cold-start': 1, sleeping: 2, 'to-zero': 1 });
  });

  it('follows the load up, down and to zero', async () => {
    const world = new World([named('a')]);
    world.load('a', { waiting: 1 });
    await world.clock.advance(100);
    world.load('a', { waiting: 0, inFlight: 6 });
    await world.clock.advance(3000);
    assert.equal(world.told.at(-1), 'a=3');
    world.load('a', { inFlight: 0 });
    await world.clock.advance(4000);
    assert.equal(world.told.at(-1), 'a=1');
    await world.clock.advance(5000);
    assert.equal(world.told.at(-1), 'a=0');
    assert.deepEqual([...world.written], [['a', 0]]);
    assert.equal(world.told.includes('a=2'), false);
  });

  it('knows that a model is not idle whose requests are too short to be seen', async () => {
    const world = new World([named('a', { initial: 1 })]);
    for (let at = 1; at <= 20; at += 1) {
      world.load('a', { progress: at });
      await world.clock.advance(1000);
    }
    assert.equal(world.target('a'), 1);
    await world.clock.advance(5000);
    assert.equal(world.target('a'), 0);
  });

  it('begins with what the last run ended with, within the bounds of now', () => {
    const kept = new Map([
      ['a', 3],
      ['b', 9],
    ]);
    const world = new World([named('a'), named('b', { max: 2 }), named('c', { initial: 1 })], kept);
    assert.deepEqual(
      world.scaler.reports().map(({ model: name, target }) => `${name}=${target}`),
      ['a=3', 'b=2', 'c=1'],
    );
  });

  it('keeps the number over a reload, within the new bounds; a model that is new has its initial one', () => {
    const world = new World([named('a', { initial: 3 })]);
    const next = [named('a', { max: 2 }), named('b', { initial: 1 })];
    assert.deepEqual(
      world.scaler.adjusted(next).map(({ replicas }) => replicas),
      [2, 1],
    );
    assert.equal(world.target('a'), 3, 'asking changed nothing');
    world.scaler.configure(next);
    assert.deepEqual([world.target('a'), world.target('b')], [2, 1]);
  });

  it('takes a number by hand within the bounds, and goes on from there', async () => {
    const world = new World([named('a')]);
    assert.throws(() => world.scaler.set(modelName('a'), 5), { code: 'request_invalid', message: /from 0 to 4 replicas .* got 5/ });
    assert.deepEqual(world.scaler.set(modelName('a'), 3), { from: 0 });
    assert.deepEqual(world.told, ['a=3']);
    await world.clock.advance(4000);
    assert.equal(world.target('a'), 1);
    assert.equal(world.scaler.set(modelName('fixed'), 1), undefined);
  });

  it('records decisions that come out the same when they are made again', async () => {
    const world = new World([named('a')]);
    world.load('a', { waiting: 9 });
    await world.clock.advance(3000);
    world.load('a', { waiting: 0 });
    await world.clock.advance(20_000);
    const [report = assert.fail('no report')] = world.scaler.reports();
    assert.ok(report.history.length > 8, `${report.history.length}`);
    assert.deepEqual(replay(report.history), []);
    assert.deepEqual(report.changes, { 'cold-start': 1, up: 1, down: 1, 'to-zero': 1 });
    const [first = assert.fail('no record')] = report.history;
    assert.equal(replay([{ ...first, replicas: 7 }]).length, 1, 'a record that lies is found');
  });

  it('leaves no timer behind', async () => {
    const world = new World([named('a')]);
    await world.clock.advance(500);
    world.scaler.stop();
    assert.equal(world.clock.pending, 0);
    assert.equal(new World([model({ name: 'fixed' })]).clock.pending, 0, 'nothing to scale, nothing to do');
  });
});

describe('models on too few GPUs', () => {
  it('give way in turns, each for as long as it takes to be worth a start', async () => {
    const world = new World([named('a', { initial: 1 }), named('b')]);
    world.load('a', { gpusEach: 1, newestSince: 0 });
    world.load('b', { gpusEach: 1 });
    await world.clock.advance(11_000 - 6_100);
    world.load('b', { waiting: 1 });
    await world.clock.advance(100);
    world.load('b', { running: 0, lacksGpus: 'waiting for a GPU: 0 held by a-0' });
    const before = world.told.length;
    await world.clock.advance(1000);
    assert.equal(world.told.slice(before).length, 0, 'a has not served for long enough');
    world.load('a', { inFlight: 1 });
    await world.clock.advance(20_000);
    assert.ok(world.told.includes('a=0 yields'), world.told.join(' '));
    assert.equal(world.scaler.reports()[0]?.changes.yielded, 1);
  });
});
