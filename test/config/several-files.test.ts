import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { joinValues } from '../../src/config/join-values.ts';
import { loadConfig, type LoadedConfig } from '../../src/config/load.ts';
import { deps, problemsOf, temporaryFolder } from './load-text.ts';

/** Writes the files (name → text) and gives those named in `given` to the loader, in this order. */
function loadGiven(t: TestContext, files: Readonly<Record<string, string>>, given: readonly string[], env = {}): LoadedConfig {
  const folder = temporaryFolder(t);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return loadConfig(
    given.map((name) => join(folder, name)),
    { ...deps, env },
  );
}

/** Places of all problems: the file's last name, line, column, path. */
const places = (load: () => unknown): string[] =>
  problemsOf(load).map(({ file, line, column, path }) => `${file.split('/').at(-1) ?? ''}:${line}:${column} ${path}`);

const model = (id: string, more = ''): string => `  - model_loading_config: {model_id: ${id}}\n    llm_engine: fake\n${more}`;
const application = (name: string, prefix: string, entry: string): string =>
  `applications:\n  - name: ${name}\n    route_prefix: ${prefix}\n    args:\n      llm_configs: [${entry}]\n`;

describe('several config files', () => {
  it('are one config: models one after the other, settings key by key', (t) => {
    const { config, warnings, sources } = loadGiven(
      t,
      {
        'a.yaml': `llm_configs:\n${model('a')}gateway: {log: {level: debug}, limits: {max_connections: 7}}\n`,
        'sub/b.yaml': `llm_configs:\n${model('b')}  - c.yaml\ngateway: {limits: {max_body_bytes: 2048}, state_dir: state}\n`,
        'sub/c.yaml': 'model_loading_config: {model_id: c, model_source: ./c.gguf}\nllm_engine: fake\n',
        'sub/c.gguf': 'weights',
        'settings.yaml': 'gateway: {workers: 3}\n',
      },
      ['a.yaml', 'sub/b.yaml', 'settings.yaml'],
    );
    const folder = dirname(config.files[0] ?? '');
    assert.deepEqual(warnings, []);
    assert.deepEqual(
      config.models.map(({ name, source }) => [name, source.value]),
      [
        ['a', 'a'],
        ['b', 'b'],
        ['c', join(folder, 'sub/c.gguf')],
      ],
    );
    assert.deepEqual([config.logLevel, config.workers, config.stateDir], ['debug', 3, join(folder, 'sub/state')]);
    assert.deepEqual(config.settings.limits, {
      maxBodyBytes: 2048,
      maxMediaBodyBytes: 104_857_600,
      headersTimeoutMs: 60_000,
      requestTimeoutMs: 60_000,
      maxConnections: 7,
      failedAuthPerMinute: undefined,
    });
    assert.deepEqual(
      config.files,
      ['a.yaml', 'sub/b.yaml', 'settings.yaml'].map((name) => join(folder, name)),
    );
    assert.deepEqual(
      sources,
      ['a.yaml', 'sub/b.yaml', 'sub/c.yaml', 'settings.yaml'].map((name) => join(folder, name)),
    );
  });

  it('may each bring applications', (t) => {
    const { config } = loadGiven(
      t,
      {
        'a.yaml': application('a', '/a', 'm.yaml'),
        'sub/b.yaml': application('b', '/b', 'm.yaml'),
        'm.yaml': model('one').replace('  - ', '').replace('    llm', 'llm'),
        'sub/m.yaml': model('two').replace('  - ', '').replace('    llm', 'llm'),
      },
      ['a.yaml', 'sub/b.yaml'],
    );
    assert.deepEqual(
      [...config.apps].map(([prefix, names]) => [prefix, [...names.keys()]]),
      [
        ['/a', ['one']],
        ['/b', ['two']],
      ],
    );
  });

  it('fill in variables in each of them, as numbers where one is wanted', (t) => {
    const own = '    deployment_config: {max_ongoing_requests: "${N}"}\n';
    const { config } = loadGiven(
      t,
      { 'a.yaml': `llm_configs:\n${model('a')}`, 'b.yaml': `llm_configs:\n${model('b', own)}` },
      ['a.yaml', 'b.yaml'],
      { N: '5' },
    );
    assert.deepEqual(
      config.models.map(({ maxOngoing }) => maxOngoing),
      [undefined, 5],
    );
  });

  it('give every problem the file and place that it is in', (t) => {
    const files = {
      'a.yaml': `llm_configs:\n${model('a')}gateway: {log: {level: loud}}\n`,
      'b.yaml': `llm_configs:\n${model('b', '    zebra: 1\n')}${model('a')}gateway: {limits: {max_connections: 0}, worker: 1}\n`,
      'c.yaml': 'llm_configs: [none.yaml]\n',
    };
    assert.deepEqual(
      places(() => loadGiven(t, files, ['a.yaml', 'b.yaml', 'c.yaml'])),
      [
        'a.yaml:4:24 gateway.log.level',
        'b.yaml:4:5 llm_configs[1].zebra',
        'b.yaml:5:38 llm_configs[2].model_loading_config.model_id',
        'b.yaml:7:37 gateway.limits.max_connections',
        'b.yaml:7:41 gateway.worker',
        'c.yaml:1:15 llm_configs[3]',
      ],
    );
  });

  it('may not give a setting twice, which is told with both places', (t) => {
    const files = {
      'a.yaml': `llm_configs:\n${model('a')}gateway:\n  gpus: [0]\n  log: {level: info}\n`,
      'b.yaml': 'gateway:\n  log: {level: info}\n  gpus: [1]\n',
    };
    const found = problemsOf(() => loadGiven(t, files, ['a.yaml', 'b.yaml']));
    assert.deepEqual(
      found.map(({ line, column, path }) => [line, column, path]),
      [
        [2, 9, 'gateway.log.level'],
        [3, 3, 'gateway.gpus'],
      ],
    );
    assert.match(found[1]?.message ?? '', /^given in .*a\.yaml:5:3 too; expected it in one file only$/);
  });

  it('are all looked at when some cannot be read', (t) => {
    const files = { 'a.yaml': 'gateway: [\n', 'b.yaml': '- list\n', 'ok.yaml': `llm_configs:\n${model('a')}` };
    assert.deepEqual(
      places(() => loadGiven(t, files, ['a.yaml', 'b.yaml', 'ok.yaml', 'none.yaml'])),
      ['a.yaml:2:1 ', 'b.yaml:1:1 ', 'none.yaml:1:1 '],
    );
    assert.deepEqual(
      places(() => loadGiven(t, files, ['b.yaml', 'ok.yaml'])),
      ['b.yaml:1:1 '],
    );
  });

  it('may be empty but for comments', (t) => {
    const { config } = loadGiven(t, { 'a.yaml': `llm_configs:\n${model('a')}`, 'b.yaml': '# nothing\n', 'c.yaml': 'gateway:\n' }, [
      'b.yaml',
      'a.yaml',
      'c.yaml',
    ]);
    assert.equal(config.models.length, 1);
  });
});

describe('joinValues', () => {
  const twice: string[] = [];
  it('lets a key with nothing after it be given by another file', () => {
    const joined = joinValues({ a: null, b: { c: 1 } }, { a: 1, b: null, d: 2 }, [], (path) => twice.push(path.join('.')));
    assert.deepEqual([joined, twice], [{ a: 1, b: { c: 1 }, d: 2 }, []]);
  });
  it('keeps the first of two values, and tells of the second', () => {
    const told: string[] = [];
    const joined = joinValues({ a: { b: [1], c: 1 } }, { a: { b: [2], c: { d: 1 } } }, [], (path) => told.push(path.join('.')));
    assert.deepEqual([joined, told], [{ a: { b: [1], c: 1 } }, ['a.b', 'a.c']]);
  });
});
