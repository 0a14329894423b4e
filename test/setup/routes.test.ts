import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { aptConfig, debianMirror } from '../../setup/kit/apt.ts';
import { chooseEngine } from '../../setup/kit/engine.ts';
import type { EngineRoute } from '../../setup/kit/engine-route.ts';
import type { Machine } from '../../setup/kit/machine.ts';
import { kitPaths } from '../../setup/kit/paths.ts';
import { sid } from '../../setup/kit/routes/sid.ts';
import { skulk } from '../../setup/kit/routes/skulk.ts';
import { xllamacpp } from '../../setup/kit/routes/xllamacpp.ts';
import { modelWheel, requirementLine, skulkWheel, xllamacppWheel } from '../../setup/kit/wheels.ts';
import { isCi, testArguments } from '../../setup/test-run.ts';
import { fakeServer, scratch } from './scratch.ts';

const debian: Machine = { platform: 'linux', arch: 'x64', glibc: '2.36', apt: true, debianKeyring: '/keyring.gpg' };
const may = undefined;

for (const [route, change, expected] of [
  [sid, {}, may],
  [sid, { arch: 'arm64' }, may],
  [sid, { arch: 'ppc64' }, /for Linux on x64 and arm64/],
  [sid, { platform: 'darwin' }, /for Linux/],
  [sid, { apt: false }, /apt-get and dpkg/],
  [sid, { debianKeyring: undefined }, /debian-archive-keyring/],
  [skulk, {}, may],
  [skulk, { glibc: '2.35' }, may],
  [skulk, { glibc: '2.34' }, /glibc 2\.35 or newer, this has 2\.34/],
  [skulk, { glibc: '3.0' }, may],
  [skulk, { glibc: undefined }, /another C library/],
  [skulk, { arch: 'arm64' }, /for Linux on x64/],
  [xllamacpp, {}, may],
  [xllamacpp, { glibc: '2.17', apt: false }, may],
  [xllamacpp, { glibc: undefined }, /another C library/],
  [xllamacpp, { platform: 'darwin', arch: 'arm64', glibc: undefined, apt: false }, may],
  [xllamacpp, { platform: 'win32' }, /for Linux and macOS/],
] as readonly (readonly [EngineRoute, Partial<Machine>, RegExp | undefined])[]) {
  test(`route ${route.name} ${expected === undefined ? 'may' : 'cannot'} serve ${JSON.stringify(change)}`, () => {
    const obstacle = route.obstacle({ ...debian, ...change });
    if (expected === undefined) assert.equal(obstacle, undefined);
    else assert.match(obstacle ?? '', expected);
  });
}

test('an engine named, else one on PATH, else the routes in their order', (t) => {
  const home = scratch(t);
  const kit = kitPaths(home);
  const file = fakeServer(join(home, 'llama-server'));
  const chosen = (env: NodeJS.ProcessEnv) => {
    const { own, routes } = chooseEngine(env, kit);
    return [own, ...routes.map((route) => route.name)];
  };
  assert.deepEqual(chosen({ PATH: '/nowhere' }), [undefined, 'sid', 'skulk', 'xllamacpp']);
  assert.deepEqual(chosen({ PATH: `relative:/nowhere:${home}` }), [{ route: 'path', file }, 'sid', 'skulk', 'xllamacpp']);
  assert.deepEqual(chosen({ PATH: home, ROUNDHOUSE_ENGINE_ROUTES: 'xllamacpp, sid' }), [undefined, 'xllamacpp', 'sid']);
  assert.deepEqual(chosen({ PATH: home, ROUNDHOUSE_ENGINE_ROUTES: 'path' }), [{ route: 'path', file }]);
  assert.deepEqual(chosen({ PATH: home, LLAMA_SERVER: '/other/server' })[0], { route: 'env', file: '/other/server' });
  assert.deepEqual(chosen({ PATH: home, LLAMA_SERVER: 'llama-server' })[0], { route: 'env', file });
  assert.throws(() => chosen({ ROUNDHOUSE_ENGINE_ROUTES: 'brew' }), {
    code: 'usage_invalid',
    message: /'brew'; expected some of path, sid, skulk, xllamacpp/,
  });
});

test("the kit's own launcher on PATH is not taken for the user's engine", (t) => {
  const home = scratch(t);
  fakeServer(join(home, 'llama-server'));
  assert.equal(chooseEngine({ PATH: home }, { ...kitPaths(home), directory: home }).own, undefined);
});

test('wheels are pinned by version and by hash', () => {
  assert.equal(requirementLine({ name: 'a', version: '1.0', sha256: ['00', 'ff'] }), 'a==1.0 --hash=sha256:00 --hash=sha256:ff');
  for (const wheel of [modelWheel, skulkWheel, xllamacppWheel]) {
    assert.match(requirementLine(wheel), /^[a-z0-9-]+==[\d.]+( --hash=sha256:[0-9a-f]{64})+$/);
  }
});

for (const [what, targets, expected] of [
  ['the main archive, not security', 'http://m/security/ Debian trixie-security\nhttp://m/debian/ Debian trixie\n', 'http://m/debian/'],
  ['Debian among others', 'http://u/ubuntu/ Ubuntu noble\nhttp://m/debian/ Debian bookworm-updates\n', 'http://m/debian/'],
  ['no Debian', 'http://u/ubuntu/ Ubuntu noble\n', undefined],
  ['no lists yet', '', undefined],
] as const) {
  test(`Debian mirror: ${what}`, () => assert.equal(debianMirror(targets), expected));
}

test("apt's own directories are ours, and only sid replaces the machine's sources", () => {
  const machine = aptConfig("/a b/it's", 'machine');
  assert.match(machine, /^Dir::State::Lists "\/a b\/it's\/lists";$/m);
  assert.match(machine, /^Dir::State::status "\/a b\/it's\/status";$/m);
  assert.doesNotMatch(machine, /Dir::Etc/);
  assert.match(aptConfig('/x', 'sid'), /^Dir::Etc::SourceList "\/x\/sources\.list";$/m);
});

for (const [value, expected] of [
  [undefined, false],
  ['', false],
  ['0', false],
  ['False', false],
  ['true', true],
  ['1', true],
] as const) {
  test(`CI=${value ?? '(unset)'} ${expected ? 'is' : 'is not'} CI`, () =>
    assert.equal(isCi(value === undefined ? {} : { CI: value }), expected));
}

test('without arguments every test runs; with some, only what they say', () => {
  assert.ok(testArguments([], 1, false).includes('--test-concurrency=2'));
  assert.ok(testArguments([], 8, false).includes('--test-concurrency=8'));
  assert.deepEqual(testArguments([], 1, false).slice(-3), ['--test-timeout=180000', '--test-reporter=spec', 'test/**/*.test.ts']);
  assert.deepEqual(testArguments(['test/setup/a.test.ts'], 8, false).slice(-3), [
    '--test-timeout=180000',
    '--test-reporter=spec',
    'test/setup/a.test.ts',
  ]);
});

test('a run that renews the documents reports the rows of docs/faults.md beside the tests, each reporter with a place of its own', () => {
  const given = testArguments([], 1, true);
  const reporters = given.filter((argument) => argument.startsWith('--test-reporter='));
  assert.deepEqual(reporters, ['--test-reporter=spec', '--test-reporter=./test/faults/support/reporter.ts']);
  assert.equal(given.filter((argument) => argument.startsWith('--test-reporter-destination=')).length, reporters.length);
});
