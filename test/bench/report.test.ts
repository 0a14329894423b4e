import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { groupNames, parseOptions } from '../../bench/options.ts';
import { selfTimes } from '../../bench/profile.ts';
import { addRound, type Measurements, type MetricName } from '../../bench/report/measurements.ts';
import { alignColumns, resultTable } from '../../bench/report/table.ts';
import { verdicts } from '../../bench/report/verdict.ts';
import { nginxConfig } from '../../bench/systems/nginx.ts';
import { gatewayConfig } from '../../bench/systems/roundhouse.ts';
import { type SystemName, systemNames } from '../../bench/systems/system.ts';

function measured(metric: MetricName, values: Partial<Record<SystemName, readonly number[]>>): Measurements {
  const results: Measurements = new Map();
  for (const [system, rounds] of Object.entries(values) as [SystemName, readonly number[]][]) {
    for (const value of rounds) addRound(results, metric, system, value);
  }
  return results;
}

describe('table', () => {
  test('aligns the first column to the left and numbers to the right', () => {
    assert.deepEqual(
      alignColumns([
        ['what', 'a'],
        ['x', '10.5', '2'],
        ['longer', '1', ''],
      ]),
      ['what       a', 'x       10.5  2', 'longer     1'],
    );
  });

  test('shows medians and ratios of what was measured', () => {
    const [head, row, ...rest] = resultTable(
      measured('request-1k', { nginx: [20, 21, 40], relay: [60, 63, 120], roundhouse: [66, 69.3, 132] }),
    );
    assert.match(head ?? '', /nginx +bare relay +roundhouse +bare relay ÷ nginx +roundhouse ÷ nginx +roundhouse ÷ bare relay$/);
    assert.match(row ?? '', /^CPU µs\/request, 1 KB +21\.0 +63\.0 +69\.3 +3\.00× +3\.30× +1\.10×$/);
    assert.deepEqual(rest, []);
  });

  test('leaves out systems that did not take part', () => {
    const lines = resultTable(measured('chunk', { relay: [30], roundhouse: [33] }));
    assert.doesNotMatch(lines.join('\n'), /nginx/);
    assert.match(lines[1] ?? '', /30\.00 +33\.00 +1\.10×$/);
  });
});

describe('verdicts', () => {
  for (const [ours, expected] of [
    [[72, 71, 70], 'met: 1 KB request 1.18 × the bare relay, goal ≤ 1.2 × (rounds 1.17–1.20)'],
    [[90, 90, 90], 'missed by 25 %: 1 KB request 1.50 × the bare relay, goal ≤ 1.2 × (rounds 1.50–1.50)'],
  ] as const) {
    test(expected, () => {
      assert.deepEqual(verdicts(measured('request-1k', { relay: [60, 60, 60], roundhouse: ours })), [expected]);
    });
  }

  test('the added time is judged by itself', () => {
    const results = measured('added-p50-1k', { roundhouse: [0.2, 0.36, 0.4] });
    assert.deepEqual(verdicts(results), ['missed by 20 %: added p50, 1 KB 0.360 ms, goal ≤ 0.3 ms (rounds 0.200–0.400)']);
  });

  test('nothing is said of what was not measured', () => {
    assert.deepEqual(verdicts(measured('request-1k', { nginx: [20], relay: [60] })), []);
    assert.deepEqual(verdicts(measured('request-1k', { roundhouse: [60] })), []);
    assert.deepEqual(verdicts(new Map()), []);
  });
});

describe('options', () => {
  test('everything is measured unless a part is named', () => {
    const { groups, systems, quick, jsonFile, profileDir } = parseOptions([]);
    assert.deepEqual(
      [[...groups], systems.size, quick, jsonFile, profileDir],
      [[...groupNames], systemNames.length, false, undefined, undefined],
    );
  });

  test('lists are read', () => {
    const { groups, systems, quick } = parseOptions(['--only', '1k, stream', '--systems=relay', '--quick']);
    assert.deepEqual([[...groups], [...systems], quick], [['1k', 'stream'], ['relay'], true]);
  });

  for (const argv of [['--only', '2k'], ['--systems', ''], ['--fast'], ['extra']]) {
    test(`${argv.join(' ')} is refused`, () => {
      assert.throws(() => parseOptions(argv), TypeError);
    });
  }

  test('a refusal names the value and the choices', () => {
    assert.throws(() => parseOptions(['--only', '1k,2k']), /--only: "2k" is not one of memory, 1k, 32k, stream, latency/);
  });
});

const frame = (functionName: string, url = '', lineNumber = -1) => ({ functionName, url, lineNumber });

test('self time is summed by function, a sample lasting until the next, and waiting counts nothing', () => {
  const nodes = [
    { id: 1, callFrame: frame('(idle)') },
    { id: 2, callFrame: frame('relay', 'file:///home/me/roundhouse/src/gateway/forward.ts', 9) },
    { id: 3, callFrame: frame('', 'file:///home/me/node_modules/undici/lib/core.js', 0), children: [7] },
    { id: 4, callFrame: frame('relay', 'file:///home/me/roundhouse/src/gateway/forward.ts', 9) },
    { id: 5, callFrame: frame('(garbage collector)') },
    { id: 6, callFrame: frame('(root)'), children: [1, 2, 5] },
    { id: 7, callFrame: frame('writev') },
  ];
  const times = selfTimes({ nodes, samples: [2, 3, 4, 1, 5, 7, 7], timeDeltas: [7, 100, 30, 250, 9999, 40, 5] });
  assert.deepEqual(times, [
    { where: 'relay src/gateway/forward.ts:10', us: 350 },
    { where: '(garbage collector)', us: 40 },
    { where: '(anonymous) undici/lib/core.js:1', us: 30 },
    { where: 'writev ← (anonymous) undici/lib/core.js:1', us: 5 },
  ]);
});

test('nginx takes another user only where it runs as root', () => {
  const config = { port: 1234, upstreamPort: 5678, dir: '/tmp/a dir', workers: 3 };
  assert.match(nginxConfig({ ...config, root: true }), /^user root;$/m);
  assert.doesNotMatch(nginxConfig({ ...config, root: false }), /user/);
  assert.match(nginxConfig({ ...config, root: false }), /^worker_processes 3;$/m);
  assert.match(
    nginxConfig({ ...config, root: false }),
    /listen 127\.0\.0\.1:1234 [\s\S]*pid "\/tmp\/a dir\/nginx\.pid"|pid "\/tmp\/a dir\/nginx\.pid"[\s\S]*127\.0\.0\.1:5678/,
  );
});

test('the gateway gets the workers asked for, one replica and the upstream for its engine', () => {
  const config = JSON.parse(gatewayConfig({ listen: 1, admin: 2, upstream: 3 }, '/state', 2)) as {
    llm_configs: { llm_engine: string }[];
    gateway: { workers: number; engine_ports: object; engines: { fake: { command: string[] } } };
  };
  assert.equal(config.llm_configs.length, 1);
  assert.equal(config.gateway.workers, 2);
  assert.deepEqual(config.gateway.engine_ports, { first: 3, count: 1 });
  assert.match(config.gateway.engines.fake.command.join(' '), /bench\/upstream\.ts$/);
});
