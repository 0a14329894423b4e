import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { atTerminal, controlC, enter, skipTerminal, type Terminal } from '../support/terminal.ts';

const program = join(import.meta.dirname, '../../src/main.ts');
const down = '\u001B[B';

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'init-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

function wizard(t: TestContext, cwd: string, ...args: readonly string[]): Terminal {
  // An empty PATH: neither engines nor GPUs of the machine that runs the test are found.
  const env = { PATH: '/nowhere', HOME: cwd, TERM: 'xterm', NO_COLOR: '1', NODE_DISABLE_COMPILE_CACHE: '1' };
  return atTerminal(t, [process.execPath, program, 'init', ...args], { cwd, env });
}

describe('gateway init at a terminal', { skip: skipTerminal }, () => {
  it('asks, and writes what was answered', async (t) => {
    const cwd = await folder(t);
    const terminal = wizard(t, cwd);
    await terminal.shows(/Which engine\?[\s\S]*made-up text/);
    // On an empty PATH only the fake engine, which brings its own, is installed: Enter takes it.
    terminal.press(enter);
    await terminal.shows(/Name that clients use/);
    terminal.press(`my-model${enter}`);
    await terminal.shows(/Scale the number of replicas/);
    terminal.press(enter);
    await terminal.shows(/How many replicas/);
    terminal.press(`nine${enter}`);
    await terminal.shows(/expected a whole number from 1 to 10000/);
    terminal.press(`\u007F\u007F\u007F\u007F3${enter}`);
    assert.equal(await terminal.exited, 0, terminal.page());
    assert.match(terminal.page(), /Both files are valid[\s\S]*gateway start -c serve\.yaml/);
    assert.match(await readFile(join(cwd, 'model_config/my-model.yaml'), 'utf8'), /model_id: my-model\n[\s\S]*num_replicas: 3\n/);
    assert.match(await readFile(join(cwd, 'serve.yaml'), 'utf8'), /- model_config\/my-model\.yaml\n/);
  });

  it('offers the models that an engine can load, and the next one with an arrow key', async (t) => {
    const cwd = await folder(t);
    const terminal = wizard(t, cwd, '--engine', 'llamacpp', '--replicas', '1', '--gpus', '0', '--no-hf-token');
    await terminal.shows(/Which model\?[\s\S]*another one/);
    terminal.press(down);
    await terminal.shows(/● Qwen/);
    terminal.press(enter);
    await terminal.shows(/Name that clients use/);
    terminal.press(enter);
    assert.equal(await terminal.exited, 0, terminal.page());
    const text = await readFile(join(cwd, 'model_config/qwen2.5-7b-instruct.yaml'), 'utf8');
    assert.match(text, /model_source: Qwen\/Qwen2\.5-7B-Instruct-GGUF:Q4_K_M\n/);
  });

  for (const [when, question] of [
    ['at the first question', /Which engine\?/],
    ['in the middle', /Name that clients use/],
  ] as const) {
    it(`leaves nothing after Ctrl-C ${when}`, async (t) => {
      const cwd = await folder(t);
      const terminal = wizard(t, cwd);
      await terminal.shows(/Which engine\?/);
      if (when === 'in the middle') {
        terminal.press(enter);
        await terminal.shows(question);
      }
      terminal.press(controlC);
      assert.equal(await terminal.exited, 130, terminal.page());
      assert.match(terminal.page(), /Cancelled; nothing was written/);
      assert.deepEqual(await readdir(cwd), []);
    });
  }

  it('asks before it replaces a file, and keeps it unless told', async (t) => {
    const cwd = await folder(t);
    await writeFile(join(cwd, 'serve.yaml'), 'mine');
    const terminal = wizard(t, cwd, '--engine', 'fake', '--id', 'm', '--replicas', '1');
    await terminal.shows(/Replace serve\.yaml\?/);
    terminal.press(enter);
    assert.equal(await terminal.exited, 130, terminal.page());
    assert.equal(await readFile(join(cwd, 'serve.yaml'), 'utf8'), 'mine');
    assert.deepEqual(await readdir(cwd), ['serve.yaml']);
  });
});
