import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AggregatorRegistry, Histogram, Registry } from 'prom-client';
import { LabelledHistogram, PlainHistogram } from '../../src/gateway/histograms.ts';

const buckets = [0.001, 0.5, 1, 10];
const values = [0, 0.001, 0.0011, 0.5, 0.7, 1, 9.99, 10, 10.1, 1e9];
const shape = { name: 'seconds', help: 'Seconds.', buckets };

/** The page that workers with these counters make together. */
const pageOf = (...workers: readonly unknown[]): Promise<string> =>
  AggregatorRegistry.aggregate(workers as Parameters<typeof AggregatorRegistry.aggregate>[0]).metrics();

describe('histograms show the same page as those of prom-client', () => {
  test('with a label', async () => {
    const registry = new Registry();
    const theirs = new Histogram({ ...shape, buckets, labelNames: ['model'], registers: [registry] });
    const ours = new LabelledHistogram(shape, 'model');
    for (const [at, value] of [...values, ...values].entries()) {
      const model = at % 3 === 0 ? 'a' : 'b"\n';
      theirs.observe({ model }, value);
      ours.observe(model, value);
    }
    const json = await registry.getMetricsAsJSON();
    assert.equal(await pageOf([ours.toJson()], [ours.toJson()]), await pageOf(json, json));
  });

  test('without one, and before there is any value', async () => {
    const registry = new Registry();
    const theirs = new Histogram({ ...shape, buckets, registers: [registry] });
    const ours = new PlainHistogram(shape);
    assert.equal(await pageOf([ours.toJson()]), await pageOf(await registry.getMetricsAsJSON()));
    for (const value of values) {
      theirs.observe(value);
      ours.observe(value);
    }
    assert.equal(await pageOf([ours.toJson()]), await pageOf(await registry.getMetricsAsJSON()));
  });
});
