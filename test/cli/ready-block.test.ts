import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { localUrl, readyBlock } from '../../src/cli/ready-block.ts';
import type { Config } from '../../src/config/config.ts';
import type { ModelReport } from '../../src/supervisor/report.ts';

const at = { data: 'http://127.0.0.1:8000', admin: 'http://127.0.0.1:9000' };
const model = (name: string, phase: string): ModelReport =>
  ({ name, engine: 'fake', desired: 1, replicas: [], status: { phase } }) as never;
const apps = (...entries: readonly [prefix: string, names: Readonly<Record<string, string>>][]): Pick<Config, 'apps' | 'settings'> =>
  ({
    apps: new Map(entries.map(([prefix, names]) => [prefix, new Map(Object.entries(names))])),
    settings: { access: { keys: [] } },
  }) as never;

/** URL and model of the line to paste. */
const pasted = (block: string): readonly [string | undefined, string | undefined] => [
  /curl (\S+)/.exec(block)?.[1],
  /"model":"([^"]+)"/.exec(block)?.[1],
];

describe('the ready block', () => {
  it('has a line to paste for the first model that serves, by the prefix and the name that clients use', () => {
    const models = [model('a', 'failed'), model('b', 'ready')];
    assert.deepEqual(pasted(readyBlock(at, models, apps(['', { a: 'a', b: 'b' }]))), [`${at.data}/v1/chat/completions`, 'b']);
    assert.deepEqual(pasted(readyBlock(at, models, apps(['/one', { a: 'a' }], ['/two', { bee: 'b', b: 'b' }]))), [
      `${at.data}/two/v1/chat/completions`,
      'bee',
    ]);
  });

  it('asks for a key where the model does', () => {
    const open = apps(['', { a: 'a' }]);
    const block = (prefix: string | undefined): string =>
      readyBlock(at, [model('a', 'ready')], { ...open, settings: { access: { keys: [{ prefix }] } } } as never);
    assert.match(block(undefined), /-H 'Authorization: Bearer KEY' \\\n/);
    assert.match(block(''), /Authorization/);
    assert.doesNotMatch(block('/other'), /Authorization/);
  });

  it('has one for a model that is asleep, where none serves: its request wakes it', () => {
    const asleep: ModelReport = { ...model('z', 'asleep'), desired: 0, status: { phase: 'asleep', asleep: true } };
    const block = readyBlock(at, [model('a', 'failed'), asleep], apps(['', { a: 'a', z: 'z' }]));
    assert.match(block, /^\nReady at http:\/\/127\.0\.0\.1:8000 [^]*\n {2}z {3}0 replicas on fake \(asleep: a request wakes it\)\n/);
    assert.equal(pasted(block)[1], 'z');
    assert.equal(pasted(readyBlock(at, [asleep, model('b', 'ready')], apps(['', { b: 'b', z: 'z' }])))[1], 'b');
  });

  it('has none while no model serves', () => {
    const block = readyBlock(at, [model('a', 'failed')], apps(['', { a: 'a' }]));
    assert.match(block, /^\nNo model serves yet\. Listening at http:\/\/127\.0\.0\.1:8000 /);
    assert.doesNotMatch(block, /curl/);
  });

  it('names an address that can be opened', () => {
    assert.deepEqual(
      ['0.0.0.0', '::', '::1', '10.0.0.1'].map((host) => localUrl(host, 1)),
      ['http://127.0.0.1:1', 'http://[::1]:1', 'http://[::1]:1', 'http://10.0.0.1:1'],
    );
  });
});
