import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Machine } from '../../setup/kit/machine.ts';
import { programOf, storeDirectory } from '../../setup/stores/store-server.ts';
import type { StoreServer } from '../../setup/stores/store-server.ts';
import { ensureStores, storeServers } from '../../setup/stores/stores.ts';
import { scratch, script } from './scratch.ts';

const machine: Machine = { platform: 'linux', arch: 'x64', glibc: '2.36', apt: false, debianKeyring: undefined };
const { versitygw, fakeGcsServer } = storeServers;
const { signal } = new AbortController();

const noPython = async (): Promise<never> => assert.fail('no Python is needed');

function server(more: Partial<StoreServer> = {}): StoreServer {
  return {
    ...fakeGcsServer,
    install: async ({ stage }) => {
      const program = join(stage, 'made');
      writeFileSync(program, 'a program');
      return program;
    },
    ...more,
  };
}

describe('the object stores of the tests', () => {
  test('are made once, outside the clone, and nothing but them stays', async (t) => {
    const env = { XDG_CACHE_HOME: scratch(t) };
    let made = 0;
    const counted = server({ install: async (tools) => ((made += 1), await server().install(tools)) });
    for (let call = 1; call <= 2; call += 1)
      assert.deepEqual(await ensureStores(env, signal, [counted], machine), { names: ['fake-gcs-server'], missing: [] });
    assert.equal(made, 1);
    assert.equal(readFileSync(programOf(counted, env), 'utf8'), 'a program');
    assert.deepEqual(readdirSync(storeDirectory(env)), ['fake-gcs-server-0.1.1']);
  });

  test('what fails is told, and shows nothing', async (t) => {
    const env = { XDG_CACHE_HOME: scratch(t) };
    const broken = server({
      install: async () => {
        throw new Error('no route to host');
      },
    });
    const { names, missing } = await ensureStores(env, signal, [broken], machine);
    assert.deepEqual(names, []);
    assert.deepEqual(missing, [{ title: broken.title, reason: 'no route to host', impossible: false }]);
    assert.ok(!existsSync(programOf(broken, env)));
  });

  test('what a machine cannot have is no failure', async (t) => {
    const env = { XDG_CACHE_HOME: scratch(t), PATH: '/nowhere' };
    const { missing } = await ensureStores(env, signal, [versitygw, fakeGcsServer], { ...machine, arch: 'arm64' });
    assert.deepEqual(
      missing.map(({ reason, impossible }) => [reason, impossible]),
      [
        ['it is built with Go, which is not on PATH', true],
        ['for Linux on x64, this is linux on arm64', true],
      ],
    );
  });

  test('a module of another digest than the pinned one is not built', async (t) => {
    const [home, stage] = [scratch(t), scratch(t)];
    script(join(home, 'go'), '/bin/sh', `echo "$@" >> '${home.replaceAll("'", `'\\''`)}/asked'; echo '{ "Sum": "h1:another=" }'\n`);
    await assert.rejects(
      versitygw.install({ env: { PATH: `${home}:/usr/bin:/bin` }, signal, stage, python: noPython }),
      /the digest of github\.com\/versity\/versitygw 1\.8\.0 is h1:another=, expected h1:/,
    );
    assert.equal(readFileSync(join(home, 'asked'), 'utf8'), 'mod download -json github.com/versity/versitygw@v1.8.0\n');
  });
});
