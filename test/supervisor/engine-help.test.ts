import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { until } from '../support/until.ts';
import { EngineHelp, type HelpAnswer, type HelpRequest } from '../../src/supervisor/engine-help.ts';

const never = new AbortController().signal;
const hour = 3_600_000;

/** A folder with a virtual environment's `bin/engine` and library, and what reads its help. */
class Setup {
  readonly folder: string;
  readonly file: string;
  readonly library: string;
  readonly cacheDir: string;
  now = 10 * 24 * hour;

  constructor(t: TestContext, script = 'echo "  --one ONE"') {
    this.folder = mkdtempSync(join(tmpdir(), 'roundhouse-help-'));
    t.after(() => rmSync(this.folder, { recursive: true, force: true }));
    this.file = join(this.folder, 'venv/bin/engine');
    this.library = join(this.folder, 'venv/lib/python3.12/site-packages');
    this.cacheDir = join(this.folder, 'cache');
    mkdirSync(dirname(this.file), { recursive: true });
    mkdirSync(this.library, { recursive: true });
    this.install(script);
  }

  /** The engine counts its runs, and then runs `script`. */
  install(script: string): void {
    writeFileSync(this.file, `#!/bin/sh\necho run >> "${this.folder}/runs"\n${script}\n`);
    chmodSync(this.file, 0o755);
  }

  get runs(): number {
    const file = join(this.folder, 'runs');
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0;
  }

  read(more: Partial<HelpRequest> = {}, signal = never, maxAgeMs?: number): Promise<HelpAnswer> {
    // A new one each time, as a new process of the gateway has it.
    const help = new EngineHelp({ cacheDir: this.cacheDir, env: { PATH: process.env['PATH'], SECRET: 'hidden' }, now: () => this.now });
    const request = {
      command: [this.file] as const,
      help: { args: ['--help'], timeoutMs: 60_000 },
      env: {},
      executable: 'engine',
      install: 'Install it.',
      ...more,
    };
    return help.read(request, signal, maxAgeMs);
  }
}

const textOf = (answer: HelpAnswer): string => (answer.kind === 'text' ? answer.text : assert.fail(answer.reason));
const reasonOf = (answer: HelpAnswer): string => (answer.kind === 'unread' ? answer.reason : assert.fail(`read ${answer.text}`));

describe('the help of an engine', () => {
  it('is read by running it, once for as long as nothing changes', async (t) => {
    const setup = new Setup(t, 'echo "$@"');
    const help = { args: ['serve', '--help'], timeoutMs: 60_000 };
    assert.equal(textOf(await setup.read({ command: [setup.file, '-x'], help })), '-x serve --help');
    setup.now += hour;
    assert.deepEqual(await setup.read({ command: [setup.file, '-x'], help }), {
      kind: 'text',
      text: '-x serve --help',
      readAt: setup.now - hour,
    });
    assert.equal(setup.runs, 1);
    assert.equal(textOf(await setup.read({ help })), 'serve --help');
    assert.equal(setup.runs, 2);
  });

  it('is read again when the executable is another one', async (t) => {
    const setup = new Setup(t);
    await setup.read();
    setup.install('echo "  --other"');
    assert.equal(textOf(await setup.read()), '  --other');
  });

  it('is read again when a package beside it was replaced, though the script in front of it stays', async (t) => {
    const setup = new Setup(t);
    await setup.read();
    utimesSync(setup.library, 1, 1);
    await setup.read();
    assert.equal(setup.runs, 2);
  });

  it('is that of what a link leads to', async (t) => {
    const setup = new Setup(t);
    const link = join(setup.folder, 'engine');
    symlinkSync(setup.file, link);
    await setup.read({ command: [link] });
    utimesSync(setup.library, 1, 1);
    await setup.read({ command: [link] });
    assert.equal(setup.runs, 2);
  });

  it('is read again after a day, after less for whoever says so, and when the clock was set back', async (t) => {
    const setup = new Setup(t);
    await setup.read();
    setup.now += 24 * hour;
    await setup.read();
    assert.equal(setup.runs, 1);
    await setup.read({}, never, hour);
    assert.equal(setup.runs, 2);
    setup.now += 24 * hour + 1;
    await setup.read();
    assert.equal(setup.runs, 3);
    setup.now -= hour;
    await setup.read();
    assert.equal(setup.runs, 4);
  });

  it('is read again when what was kept is damaged, and kept for its owner alone', async (t) => {
    const setup = new Setup(t);
    await setup.read();
    const [name = '', ...others] = readdirSync(setup.cacheDir);
    assert.deepEqual(others, []);
    writeFileSync(join(setup.cacheDir, name), '{"identity":');
    assert.equal(textOf(await setup.read()), '  --one ONE');
    assert.deepEqual(readdirSync(setup.cacheDir), [name]);
    await setup.read();
    assert.equal(setup.runs, 2);
  });

  it('is used though it cannot be kept, which is said', async (t) => {
    const setup = new Setup(t);
    writeFileSync(setup.cacheDir, 'a file where the directory should be');
    const answer = await setup.read();
    assert.equal(textOf(answer), '  --one ONE');
    assert.match(answer.kind === 'text' ? (answer.unkept ?? '') : '', /EEXIST|ENOTDIR/);
  });

  it('may come on stderr', async (t) => {
    assert.equal(textOf(await new Setup(t, 'echo "  --two" >&2').read()), '  --two');
  });

  it('is asked for with an engine’s environment: none of the gateway’s own secrets, and what the model sets to find it', async (t) => {
    const setup = new Setup(t, 'echo "[$SECRET][$TOKEN][$PYTHONPATH]"');
    assert.equal(textOf(await setup.read({ env: { TOKEN: 'of the model', PYTHONPATH: '/libs' } })), '[][][/libs]');
    assert.equal(textOf(await setup.read({ env: { PYTHONPATH: '/others' } })), '[][][/others]');
  });

  it('is found on the model’s PATH', async (t) => {
    const setup = new Setup(t);
    const env = { PATH: `${dirname(setup.file)}:${process.env['PATH'] ?? ''}` };
    assert.equal(textOf(await setup.read({ command: ['engine'], env })), '  --one ONE');
  });
});

describe('a help that cannot be read', () => {
  it('of a program there is not says what to do', async (t) => {
    const setup = new Setup(t);
    assert.match(reasonOf(await setup.read({ command: [join(setup.folder, 'none')] })), /none: no such file\. Install it\./);
  });

  it('of a program that fails says how, and is not kept', async (t) => {
    const setup = new Setup(t, 'echo first >&2; echo "No module named torch" >&2; exit 3');
    assert.match(reasonOf(await setup.read()), /engine --help: exit code 3: No module named torch$/);
    await setup.read();
    assert.equal(setup.runs, 2);
    assert.equal(existsSync(setup.cacheDir), false);
  });

  it('of a program that does not end is given up', async (t) => {
    const setup = new Setup(t, 'sleep 1000');
    const reason = reasonOf(await setup.read({ help: { args: ['--help'], timeoutMs: 100 } }));
    assert.match(reason, /engine --help: did not end within 0\.1 s$/);
  });

  it('is given up when nobody wants to know any more, and nothing that it started is left', async (t) => {
    const setup = new Setup(t, 'sleep 1000 & echo $! > "$0.child"; wait');
    const abort = new AbortController();
    const reading = setup.read({}, abort.signal);
    const rejected = assert.rejects(reading, { message: 'enough' });
    const child = `${setup.file}.child`;
    await until('the engine has started another process', () =>
      readFile(child, 'utf8').then(
        (text) => text.endsWith('\n'),
        () => false,
      ),
    );
    abort.abort(new Error('enough'));
    await rejected;
    const pid = (await readFile(child, 'utf8')).trim();
    await until('that process is gone', () => isGone(pid));
  });
});

/** Killed, though whoever adopts it may not have looked yet. */
async function isGone(pid: string): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => 'gone) X ');
  return /\) [ZX] /.test(stat);
}
