import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pinnedNode } from '../../setup/node24.mjs';
import { fits } from '../../setup/packages.mjs';

const root = join(import.meta.dirname, '..', '..');
const zod = { version: '4.6.7', integrity: 'sha512-zod' };
const lock = {
  packages: { '': { version: '0.1.0' }, 'node_modules/zod': zod, 'node_modules/@x/linux-arm64': { version: '1.0.0', optional: true } },
};

for (const [what, installed, expected] of [
  ['nothing installed, or an install cut off', undefined, false],
  ['a record without packages', {}, false],
  ['all that this machine needs', { packages: { 'node_modules/zod': zod } }, true],
  ['the optional one too', { packages: { 'node_modules/zod': zod, 'node_modules/@x/linux-arm64': { version: '1.0.0' } } }, true],
  [
    'an optional one of another version',
    { packages: { 'node_modules/zod': zod, 'node_modules/@x/linux-arm64': { version: '1.0.1' } } },
    false,
  ],
  ['another version', { packages: { 'node_modules/zod': { ...zod, version: '4.6.6' } } }, false],
  ['other content under the same version', { packages: { 'node_modules/zod': { ...zod, integrity: 'sha512-other' } } }, false],
  ['a missing package', { packages: {} }, false],
] as const) {
  test(`packages: ${what} ${expected ? 'fits' : 'does not fit'} the lockfile`, () => assert.equal(fits(lock, installed), expected));
}

test('every platform with a package of Node 24 has it pinned, with its hash and without a registry’s address', () => {
  const text = readFileSync(join(root, 'tools', 'node24', 'package-lock.json'), 'utf8');
  const { packages } = JSON.parse(text) as {
    packages: Record<string, { version: string; integrity?: string; hasInstallScript?: boolean }>;
  };
  for (const platform of ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64']) {
    const { name, version } = pinnedNode(root, platform);
    const locked = packages[`node_modules/${name}`];
    assert.equal(locked?.version, version);
    assert.match(version, /^24\.\d+\.\d+$/);
    assert.match(locked.integrity ?? '', /^sha512-/);
    assert.equal(locked.hasInstallScript, undefined);
  }
  assert.doesNotMatch(text, /https?:/);
});

test('no package runs code when it is installed, and each is the very one that was chosen', () => {
  assert.match(readFileSync(join(root, '.npmrc'), 'utf8'), /^ignore-scripts=true$/m);
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<'dependencies' | 'devDependencies', object>;
  for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }))
    assert.match(String(version), /^\d+\.\d+\.\d+$/, name);
  const text = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const { packages } = JSON.parse(text) as { packages: Record<string, { integrity?: string }> };
  const locked = Object.entries(packages).filter(([path]) => path !== '');
  assert.ok(locked.length > 50);
  for (const [path, { integrity }] of locked) assert.match(integrity ?? '', /^sha512-/, path);
});

test('a platform without such a package is told to install Node 24', () => {
  assert.throws(() => pinnedNode(root, 'sunos-x64'), /sunos-x64.*Install Node\.js 24/);
});
