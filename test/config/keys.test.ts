import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { keyDigest, noLimits } from '../../src/core/access.ts';
import { deps, loadFiles, loadText, oneModel, problemsOf, temporaryFolder } from './load-text.ts';

const good = 'a-key-of-more-than-16-characters';
const keys = (...entries: string[]): string => `${oneModel}gateway:\n  keys:\n${entries.map((entry) => `    - ${entry}\n`).join('')}`;
const told = (t: TestContext, text: string): string[] =>
  problemsOf(() => loadText(t, text)).map(({ line, path, message }) => `${line} ${path}: ${message}`);
const model = (id: string): string => `[{model_loading_config: {model_id: ${id}}, llm_engine: fake}]`;
const listen = (host: string, more = ''): string => `${oneModel}gateway: {listen: {host: "${host}"}${more}}\n`;

describe('keys', () => {
  it('are kept as digests, from the config, a file, a digest and the environment', (t) => {
    const yaml = keys(
      `{name: here, key: ${good}}`,
      '{name: filed, key_file: ./key, models: [m], limits: {rpm: 5}, expires: 2099-01-31T00:00:00Z}',
      `{name: hashed, sha256: ${keyDigest('x').toUpperCase()}}`,
      '{name: env, key: "${KEY}"}',
    );
    const files = { 'config.yaml': yaml, key: `${good}-in-a-file\n` };
    const { config } = loadFiles(t, files, { env: { KEY: '1234567890123456' } });
    assert.deepEqual(config.settings.access.keys, [
      { name: 'here', sha256: keyDigest(good), prefix: undefined, models: undefined, expiresAt: undefined, limits: noLimits },
      {
        name: 'filed',
        sha256: keyDigest(`${good}-in-a-file`),
        prefix: undefined,
        models: ['m'],
        expiresAt: Date.UTC(2099, 0, 31),
        limits: { ...noLimits, requestsPerMinute: 5 },
      },
      { name: 'hashed', sha256: keyDigest('x'), prefix: undefined, models: undefined, expiresAt: undefined, limits: noLimits },
      { name: 'env', sha256: keyDigest('1234567890123456'), prefix: undefined, models: undefined, expiresAt: undefined, limits: noLimits },
    ]);
    assert.doesNotMatch(JSON.stringify(config), new RegExp(good));
  });

  it('of an application are Ray’s api_key', (t) => {
    const { config } = loadText(
      t,
      `applications:\n  - {name: a, route_prefix: /a, args: {api_key: ${good}, llm_configs: ${model('m')}}}\n  - {name: b, route_prefix: /b, args: {llm_configs: ${model('n')}}}\n`,
    );
    assert.deepEqual(config.settings.access.keys, [
      { name: 'application a', sha256: keyDigest(good), prefix: '/a', models: undefined, expiresAt: undefined, limits: noLimits },
    ]);
  });

  it('may have limits of single models, by any of their names', (t) => {
    const { config } = loadText(t, keys(`{name: a, key: ${good}, limits: {rpm: 9, models: {m: {rpm: 5, concurrency: 2}}}}`));
    const [key] = config.settings.access.keys;
    assert.deepEqual(key?.limits, { ...noLimits, requestsPerMinute: 9 });
    assert.deepEqual([...(key.ofModels ?? [])], [['m', { limits: { ...noLimits, requestsPerMinute: 5, concurrency: 2 } }]]);
  });

  it('that are short, expired, or in a file for everyone are told of', (t) => {
    const folder = temporaryFolder(t);
    const file = join(folder, 'key');
    writeFileSync(file, good);
    chmodSync(file, 0o644);
    const config = join(folder, 'config.yaml');
    writeFileSync(config, keys('{name: a, key: short, expires: 2020-01-01T00:00:00+01:00}', '{name: b, key_file: ./key}'));
    const warnings = loadConfig(config, deps).warnings.map(({ line, message }) => `${line} ${message}`);
    assert.deepEqual(warnings, [
      '6 a key of 5 characters can be guessed; expected 16 or more (gateway key new makes one)',
      '6 the key "a" has expired (2020-01-01T00:00:00+01:00): it opens nothing',
      `7 every user of this machine can read ${JSON.stringify(file)}; expected mode 0600`,
    ]);
  });

  const wrong: readonly [name: string, text: string, problems: readonly string[]][] = [
    ['no value', keys('{name: a}'), ['6 gateway.keys[0]: expected one of key, key_file and sha256, got a mapping']],
    [
      'two values',
      keys(`{name: a, key: ${good}, sha256: ${keyDigest('x')}}`),
      ['6 gateway.keys[0].sha256: beside key; expected only one of key, key_file and sha256'],
    ],
    [
      'limits of a model that is not there, and one that is no number',
      keys(`{name: a, key: ${good}, limits: {models: {n: {rpm: 5}, m: {rpm: none}}}}`),
      [
        '6 gateway.keys[0].limits.models.n: there is no model "n"; did you mean "m"?',
        '6 gateway.keys[0].limits.models.m.rpm: expected a whole number from 1 to 10000000, got "none"',
      ],
    ],
    [
      'one name for two, and one key for two',
      keys(`{name: a, key: ${good}}`, `{name: a, sha256: ${keyDigest(good)}}`),
      [
        '7 gateway.keys[1]: the key itself is already that of gateway.keys[0]; expected each once',
        '7 gateway.keys[1].name: the name "a" is already that of gateway.keys[0]; expected each once',
      ],
    ],
    [
      'a key with a blank',
      keys('{name: a, key: "top secret words"}'),
      ['6 gateway.keys[0].key: expected 1 to 512 visible ASCII characters without blanks; it has 16 characters'],
    ],
    ['a key that is a number', keys('{name: a, key: 1234567890123456}'), ['6 gateway.keys[0].key: expected a key']],
    [
      'an unknown model',
      keys(`{name: a, key: ${good}, models: [mm]}`),
      ['6 gateway.keys[0].models[0]: there is no model "mm"; did you mean "m"?'],
    ],
    [
      'a time that is none',
      keys(`{name: a, key: ${good}, expires: 2027-02-30T99:00:00Z}`),
      ['6 gateway.keys[0].expires: expected a date and time such as 2030-01-31T12:00:00Z, got "2027-02-30T99:00:00Z"'],
    ],
    [
      'a time without a zone',
      keys(`{name: a, key: ${good}, expires: 2027-01-01}`),
      ['6 gateway.keys[0].expires: expected a time such as 2027-01-31T00:00:00Z, got "2027-01-01"'],
    ],
    ['an empty list', `${oneModel}gateway: {keys: []}\n`, ['4 gateway.keys: expected a list of at least one key, got an empty list']],
  ];
  for (const [name, text, problems] of wrong) {
    it(`with ${name} are refused, without showing a key`, (t) => {
      assert.deepEqual(told(t, text), problems);
    });
  }

  it('in a file that is not there are refused', (t) => {
    const [problem = ''] = told(t, keys('{name: a, key_file: ./nowhere}'));
    assert.match(problem, /^6 gateway\.keys\[0\]\.key_file: ".*nowhere" cannot be read: ENOENT/);
  });
});

describe('an API that others can reach', () => {
  it('without keys is told of, and one that only this machine can reach is not', (t) => {
    const [warning] = loadText(t, listen('0.0.0.0')).warnings;
    assert.equal(warning?.path, 'gateway.listen.host');
    assert.equal(warning.message, 'whoever reaches 0.0.0.0 can use the models: no key is asked for; see gateway.keys');
    for (const host of ['127.0.0.1', '127.3.2.1', '::1', 'localhost']) assert.deepEqual(loadText(t, listen(host)).warnings, [], host);
    assert.deepEqual(loadText(t, listen('::', `, keys: [{name: a, key: ${good}}]`)).warnings, []);
  });
});

const admin = (text: string): string => `${oneModel}gateway: {keys: [{name: a, key: ${good}}], admin: ${text}}\n`;

describe('the admin listener', () => {
  it('that others can reach is refused without a key', (t) => {
    assert.deepEqual(told(t, admin('{host: 0.0.0.0}')), [
      '4 gateway.admin.host: whoever reaches 0.0.0.0 could stop the gateway; expected a key beside it (key_file, key or sha256), or 127.0.0.1',
    ]);
    const { config } = loadText(t, admin(`{host: 0.0.0.0, key: ${good}-of-the-owner, allowed_hosts: [metrics.internal]}`));
    const { sha256, allowedHosts } = config.admin;
    assert.deepEqual([sha256, allowedHosts], [keyDigest(`${good}-of-the-owner`), ['metrics.internal']]);
  });

  it('does not take a key of the API for its own', (t) => {
    assert.deepEqual(told(t, admin(`{key: ${good}}`)), [
      '4 gateway.admin: its key is also one of gateway.keys; expected another, which users of the API do not have',
    ]);
  });
});
