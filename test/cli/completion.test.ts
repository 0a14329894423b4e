import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, it, type TestContext } from 'node:test';
import { gatewayOf } from '../../src/cli/completion.ts';
import { bashScript } from '../../src/cli/completion/bash.ts';
import { fishScript } from '../../src/cli/completion/fish.ts';
import { allVerbs, wordsOf } from '../../src/cli/completion/words.ts';
import { program, verbsOf } from '../support/command-line.ts';
import { fakeModel, runGateway, startGateway, tempDir } from '../support/gateway-process.ts';
import { atTerminal, skipTerminal } from '../support/terminal.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** Why a shell's tests cannot run; false where they can. */
const without = (shell: string): string | false => (spawnSync(shell, ['-c', 'exit 0']).status === 0 ? false : `${shell} is not installed`);

/** A directory with `gateway` and two files in it, and a state directory if a gateway is to be found. */
async function place(t: TestContext): Promise<{ readonly cwd: string; readonly env: Record<string, string> }> {
  const cwd = await tempDir(t);
  await mkdir(join(cwd, 'bin'));
  await writeFile(join(cwd, 'bin/gateway'), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`, { mode: 0o755 });
  await writeFile(join(cwd, 'serve.yaml'), '');
  await writeFile(join(cwd, 'serve two.yaml'), '');
  return { cwd, env: { PATH: `${join(cwd, 'bin')}:${process.env['PATH'] ?? ''}`, HOME: cwd, TERM: 'xterm', LC_ALL: 'C.UTF-8' } };
}

const whole = await program();

type Place = Awaited<ReturnType<typeof place>>;

/** What bash would offer for a line, as it would put it there. */
function bash({ cwd, env }: Place, line: string): readonly string[] {
  const script = `eval "$2"
    # As readline does: cut at blanks and at the characters of COMP_WORDBREAKS.
    COMP_LINE=$1 COMP_POINT=\${#1}
    _gateway
    [[ \${#COMPREPLY[@]} == 0 ]] || printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-c', script, 'bash', line, bashScript(wordsOf(whole))], {
    cwd,
    env,
    encoding: 'utf8',
  });
  assert.deepEqual({ stderr, status }, { stderr: '', status: 0 });
  return stdout.split('\n').filter((word) => word !== '');
}

function fish({ cwd, env }: Place, line: string): readonly string[] {
  const script = 'echo $argv[2] | source; complete -C $argv[1]';
  const { stdout, status, stderr } = spawnSync('fish', ['--no-config', '-c', script, '--', line, fishScript(wordsOf(whole))], {
    cwd,
    env,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  return stdout
    .split('\n')
    .filter((word) => word !== '')
    .map((word) => word.split('\t')[0] ?? '');
}

const evil = '$(touch owned)';
const models = [fakeModel('qwen:7b'), fakeModel('qwen:14b'), fakeModel(evil), fakeModel('with space')];

/** Lines and what a shell offers for them, with no gateway there. */
const lines: readonly (readonly [line: string, offered: readonly string[]])[] = [
  ['gateway val', ['validate']],
  ['gateway gen', ['gen-config']],
  ['gateway start --keep', ['--keep-engines']],
  ['gateway run --keep', ['--keep-engines']],
  ['gateway import ', ['llama-swap', 'ray']],
  ['gateway import ray serve.', ['serve.yaml']],
  ['gateway start -c serve.', ['serve.yaml']],
  ['gateway completion f', ['fish']],
  ['gateway --vers', ['--version']],
  ['gateway chat ', []],
  ['gateway nonsense ', []],
];

describe('completion in bash', { skip: without('bash') }, () => {
  it('offers verbs, options, files and choices', async (t) => {
    const here = await place(t);
    for (const [line, offered] of lines)
      assert.deepEqual(bash(here, line), line.endsWith('import ') ? [...offered, 'help'] : offered, line);
    assert.deepEqual(bash(here, 'gateway start -c serve').toSorted(), ['serve two.yaml', 'serve.yaml']);
    assert.ok(bash(here, 'gateway ').includes('start'));
  });

  it('offers the models of the running gateway, quoted and never run', async (t) => {
    const here = await place(t);
    const { stateDir } = await startGateway(t, models);
    const at = (typed: string): readonly string[] => bash(here, `gateway chat --state-dir ${stateDir} ${typed}`);
    // Of a word with colons, what comes after the last one is replaced.
    assert.deepEqual(at('qwen:').toSorted(), ['14b', '7b']);
    assert.deepEqual(at('qw').toSorted(), ['qwen:14b', 'qwen:7b']);
    assert.deepEqual(at('$'), [String.raw`\$\(touch\ owned\)`]);
    assert.deepEqual(at('with'), [String.raw`with\ space`]);
    assert.deepEqual(bash(here, `gateway scale qwen:7b --state-dir ${stateDir} `), []);
    assert.deepEqual(spawnSync('ls', [here.cwd], { encoding: 'utf8' }).stdout.split('\n').filter(Boolean), [
      'bin',
      'serve two.yaml',
      'serve.yaml',
    ]);
  });
});

describe('completion in fish', { skip: without('fish') }, () => {
  it('offers verbs, options, files and choices', async (t) => {
    const here = await place(t);
    for (const [line, offered] of lines)
      assert.deepEqual(
        fish(here, line).filter((word) => word !== 'help'),
        offered,
        line,
      );
  });

  it('offers the models of the running gateway', async (t) => {
    const here = await place(t);
    const { stateDir } = await startGateway(t, models);
    assert.deepEqual(fish(here, `gateway chat --state-dir ${stateDir} qw`).toSorted(), ['qwen:14b', 'qwen:7b']);
    assert.ok(fish(here, `gateway chat --state-dir ${stateDir} `).includes(evil));
  });
});

describe('completion in zsh', { skip: without('zsh') || skipTerminal }, () => {
  it('completes verbs, options and models where a person types', async (t) => {
    const here = await place(t);
    const { stateDir } = await startGateway(t, [fakeModel('qwen:7b')]);
    const terminal = atTerminal(t, ['zsh', '-f', '-i'], here);
    terminal.press(
      "PS1='%% '; unsetopt beep; autoload -Uz compinit && compinit -u -D; eval \"$(gateway completion zsh)\"; echo set''-up\r",
    );
    await terminal.shows(/set-up\r*\n/);
    for (const [typed, shown] of [
      ['gateway val\t', /gateway validate /],
      ['gateway start --keep\t', /gateway start --keep-engines /],
      [`gateway chat --state-dir ${stateDir} qw\t`, /qwen:7b/],
    ] as const) {
      terminal.press(typed);
      await terminal.shows(shown);
      terminal.press('\u0015');
    }
    terminal.press('exit\r');
    assert.equal(await terminal.exited, 0, terminal.page());
  });
});

describe('the words of the program', () => {
  it('are those of every verb and option that help lists', () => {
    const words = allVerbs(wordsOf(whole));
    for (const { name, command } of verbsOf(whole)) {
      const verb = words.find(({ path }) => path === name);
      const names = verb?.options.flatMap((option) => option.names) ?? [];
      for (const { long, hidden } of command.options) assert.ok(hidden || long === undefined || names.includes(long), `${name} ${long}`);
    }
  });

  it('say which gateway a line means', () => {
    assert.deepEqual(gatewayOf(['chat', '-c', 'a.yaml', '--config=b.yaml', '--state-dir', '/s', '']), {
      config: ['a.yaml', 'b.yaml'],
      stateDir: '/s',
    });
    assert.deepEqual(gatewayOf(['chat', '-c', '']), {});
  });
});

describe('the verb that shells ask', () => {
  it('is silent where no gateway runs, or the config is not valid', async (t) => {
    const { cwd } = await place(t);
    for (const words of [
      ['--state-dir', cwd],
      ['-c', join(cwd, 'serve.yaml')],
    ])
      assert.deepEqual(await runGateway(['complete-models', '--', 'chat', ...words]), { code: 0, stdout: '', stderr: '' });
  });

  for (const [shell, script] of [
    ['bash', bashScript],
    ['fish', fishScript],
  ] as const) {
    it(`is called by the script that is printed for ${shell}`, async () => {
      assert.equal((await runGateway(['completion', shell])).stdout, script(wordsOf(whole)));
    });
  }

  it('is not in the help', async () => {
    const { stdout } = await runGateway(['--help']);
    assert.match(stdout, /completion \[options\] <shell>/);
    assert.doesNotMatch(stdout, /complete-models/);
  });
});
