import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { configText, fakeModel, runGateway, startGateway, tempDir } from '../support/gateway-process.ts';

const fixture = join(import.meta.dirname, '../fixtures/my-engine');
const model = { model_loading_config: { model_id: 'm' }, llm_engine: 'My-Engine', engine_kwargs: { greeting: 'good day' } };

/** The engine in a folder of its own, away from the sources; only its types name them. */
async function ownFolder(t: TestContext): Promise<string> {
  const dir = await tempDir(t);
  await cp(fixture, join(dir, 'my-engine'), { recursive: true });
  return dir;
}

async function validate(
  dir: string,
  plugins: unknown,
  models: readonly object[] = [model],
): Promise<{ code: number | null; stderr: string }> {
  await writeFile(join(dir, 'config.yaml'), configText(join(dir, 'state'), models, { plugins }));
  return runGateway(['validate', '-c', join(dir, 'config.yaml')]);
}

test('an engine from a folder of the user serves, and another one needs a restart', async (t) => {
  const dir = await ownFolder(t);
  const more = { plugins: [join(dir, 'my-engine/index.ts')] };
  const gateway = await startGateway(t, [model, fakeModel('other')], { more });
  const reply = await gateway.post({ model: 'm', messages: [{ role: 'user', content: 'hello' }] });
  assert.equal(reply.status, 200);
  const { choices } = (await reply.json()) as { choices: [{ message: { content: string } }] };
  assert.equal(choices[0].message.content, 'good day');
  await gateway.writeConfig([model], { plugins: [...more.plugins, join(dir, 'another.ts')] });
  const refused = await runGateway(['reload', '--state-dir', gateway.stateDir]);
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /config\.yaml:\d+:\d+: gateway\.plugins\[1\]: a plugin is loaded when the gateway starts/u);
  await gateway.writeConfig([fakeModel('other')], {});
  assert.match((await runGateway(['reload', '--state-dir', gateway.stateDir, '--json'])).stdout, /gateway\.plugins/u);
});

test('an engine from a package beside the config serves: control plane and workers each import it', async (t) => {
  const gateway = await startGateway(t, [model], { more: { plugins: ['@me/engine'] }, prepare: publish });
  const reply = await gateway.post({ model: 'm', messages: [{ role: 'user', content: 'hello' }] });
  assert.equal(reply.status, 200);
  assert.match(await reply.text(), /good day/);
});

/** The engine as a package has it: in JavaScript, because Node strips types only outside of `node_modules`. */
async function publish(dir: string): Promise<void> {
  const pkg = join(dir, 'node_modules/@me/engine');
  await mkdir(pkg, { recursive: true });
  await writeFile(join(pkg, 'package.json'), JSON.stringify({ name: '@me/engine', type: 'module', exports: './index.js' }));
  for (const file of await readdir(fixture)) {
    const source = stripTypeScriptTypes(await readFile(join(fixture, file), 'utf8'));
    await writeFile(join(pkg, file.replace(/\.ts$/u, '.js')), source.replaceAll(/(?<=\w)\.ts(?=['"`])/gu, '.js'));
  }
}

describe('what gateway.plugins names', () => {
  test('may be relative to the config, or a package beside it', async (t) => {
    const dir = await ownFolder(t);
    assert.deepEqual((await validate(dir, ['./my-engine/index.ts'])).stderr, '');
    await mkdir(join(dir, 'node_modules/pkg'), { recursive: true });
    await writeFile(join(dir, 'node_modules/pkg/package.json'), JSON.stringify({ name: 'pkg', type: 'module', exports: './index.js' }));
    await symlink(join(dir, 'my-engine/index.ts'), join(dir, 'node_modules/pkg/index.js'));
    assert.deepEqual((await validate(dir, ['pkg'])).stderr, '');
  });

  for (const [name, code, plugins, message] of [
    ['no such file', undefined, ['./none.ts'], /gateway\.plugins\[0\]: file:\S*none\.ts: cannot be imported: /u],
    ['no such package', undefined, ['none-such'], /gateway\.plugins\[0\]: there is no package "none-such"/u],
    ['a module that fails', 'throw new Error("no luck");', ['./x.ts'], /gateway\.plugins\[0\]: .*cannot be imported: no luck/u],
    ['no engine', 'export default {};', ['./x.ts'], /gateway\.plugins\[0\]: .*its default export is no engine; expected/u],
    [
      'a name that is taken',
      undefined,
      ['./my-engine/index.ts', './my-engine/index.ts'],
      /plugins\[1\]: there is an engine "my-engine" already/u,
    ],
    ['a number', undefined, 3, /gateway\.plugins/u],
  ] as const) {
    test(`${name} is refused at its place`, async (t) => {
      const dir = await ownFolder(t);
      if (code !== undefined) await writeFile(join(dir, 'x.ts'), code);
      const { code: exit, stderr } = await validate(dir, plugins);
      assert.equal(exit, 4);
      assert.match(stderr, message);
      assert.match(stderr, /config\.yaml:\d+:\d+: /u);
    });
  }

  test('its own complaint of an option has the place of the option', async (t) => {
    const dir = await ownFolder(t);
    const { code, stderr } = await validate(dir, ['./my-engine/index.ts'], [{ ...model, engine_kwargs: { colour: 1 } }]);
    assert.equal(code, 4);
    assert.match(stderr, /config\.yaml:\d+:\d+: llm_configs\[0\]\.engine_kwargs\.colour: no such option/u);
  });

  test('an engine that lacks something is named with it', async (t) => {
    const dir = await ownFolder(t);
    const half = `export default { name: 'my-engine', dialect: { toEngine() {}, readError() {} }, configure: () => ({ executable: 'x' }) };`;
    await writeFile(join(dir, 'x.ts'), half);
    const { stderr } = await validate(dir, ['./x.ts']);
    assert.match(stderr, /engine_kwargs: the plugin of my-engine is at fault: install must be a string/u);
  });
});
