import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { assert as assertProperty, property, record, string } from 'fast-check';
import { launcherText, readStamp, type Launch } from '../../setup/kit/launcher.ts';
import { scratch, script } from './scratch.ts';

const stamp = { route: 'sid', file: 'engine-sid/server', identity: '1 2 engine-sid/server', passedOver: '' };

function putLauncher(kit: string, launch: Launch): string {
  const launcher = join(kit, 'llama-server');
  writeFileSync(launcher, launcherText(launch, stamp));
  chmodSync(launcher, 0o755);
  return launcher;
}

test('the launcher becomes the program, gives it all arguments as they are, and finds it after the kit was moved', (t) => {
  const home = scratch(t);
  mkdirSync(join(home, 'kit', "engine 'x'"), { recursive: true });
  script(join(home, 'kit', "engine 'x'", 'server'), '/bin/sh', 'printf "%s\\n" "$$" "$WHERE" "$@"');
  const launch: Launch = {
    words: [
      { kind: 'inside', paths: ["engine 'x'/server"] },
      { kind: 'text', text: "$HOME `id` 'q'" },
    ],
    env: { WHERE: { kind: 'inside', paths: ['a', 'b c'] } },
  };
  putLauncher(join(home, 'kit'), launch);
  renameSync(join(home, 'kit'), join(home, 'moved'));
  const moved = join(home, 'moved');
  // The shell's own process id is the launcher's and, after exec, the program's.
  const said = execFileSync('/bin/sh', ['-c', 'echo "$$"; exec "$0" "$@"', join(moved, 'llama-server'), 'two words', '', '*'], {
    encoding: 'utf8',
  });
  const [before, after, where, ...args] = said.split('\n');
  assert.equal(after, before);
  assert.equal(where, `${moved}/a:${moved}/b c`);
  assert.deepEqual(args, ["$HOME `id` 'q'", 'two words', '', '*', '']);
});

test('a launcher without its program fails, naming it', (t) => {
  const launcher = putLauncher(scratch(t), { words: [{ kind: 'inside', paths: ['gone'] }], env: {} });
  assert.throws(() => execFileSync(launcher, { stdio: 'pipe' }), /gone/);
});

test('a stamp is read back as it was written, whatever stands in it', () => {
  const launch: Launch = { words: [{ kind: 'text', text: 'x' }], env: {} };
  assertProperty(
    property(record({ route: string(), file: string({ unit: 'grapheme' }), identity: string(), passedOver: string() }), (written) => {
      assert.deepEqual({ ...readStamp(launcherText(launch, written)) }, { ...written });
    }),
  );
});

for (const [what, text] of [
  ['no stamp', '#!/bin/sh\nexec x\n'],
  ['a stamp cut short', '#!/bin/sh\n# kit: {"route":"sid"'],
  ['a stamp of another shape', '#!/bin/sh\n# kit: {"route":1}\n'],
] as const) {
  test(`a launcher with ${what} is none of ours`, () => assert.equal(readStamp(text), undefined));
}
