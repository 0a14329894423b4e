import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { configText, fakeModel, runGateway as runProcess, startGateway, tempDir } from '../support/gateway-process.ts';
import { program, verbsOf } from '../support/command-line.ts';
import { atTerminal, skipTerminal } from '../support/terminal.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** So many processes of one program: what the first has compiled, the others need not. */
const compiled = join(tmpdir(), 'roundhouse-compiled');
const runGateway = (args: readonly string[], cwd: string) => runProcess(args, cwd, { ...process.env, NODE_COMPILE_CACHE: compiled });

/** What a line of the table may name. */
interface Place {
  /** A folder of its own for each run. */
  readonly dir: string;
  /** A valid config. */
  readonly file: string;
  readonly llamaSwap: string;
  readonly trace: string;
  /** Of a gateway that runs. */
  readonly stateDir: string;
  readonly modelUrl: string;
}

const running = (...args: readonly string[]) => ({
  args: ({ stateDir }: Place): readonly string[] => [...args, '--state-dir', stateDir],
});

/** What it prints with `--json`, where that is not one JSON value: one a line. */
interface Run {
  readonly args: (place: Place) => readonly string[];
  readonly lines?: true;
  /** With `--quiet` it leaves out what it remarks on stderr: its answer is a file. */
  readonly makesFile?: true;
}

/** Arguments after the verb, of a run that succeeds and ends by itself. */
const runs: Readonly<Record<string, Run>> = {
  version: { args: () => [] },
  plan: { args: ({ file }) => ['-c', file] },
  status: running(),
  logs: { ...running(), lines: true },
  lora: running('ls'),
  reload: running(),
  restart: running('m'),
  scale: running('m', '1'),
  simulate: { args: ({ file, trace }) => ['-c', file, '--trace', trace] },
  validate: { args: ({ file }) => ['-c', file] },
  pull: { args: ({ file, modelUrl }) => ['-c', file, modelUrl] },
  cache: { args: ({ file }) => ['ls', '-c', file] },
  schema: { args: () => [] },
  openapi: { args: () => [] },
  key: { args: () => ['new', '--name', 'alice'] },
  init: { args: ({ dir }) => ['--yes', '--engine', 'fake', '--dir', dir] },
  'import llama-swap': { args: ({ llamaSwap }) => [llamaSwap], makesFile: true },
  'import ray': { args: ({ file }) => [file], makesFile: true },
  chat: running('m', '--message', 'hi'),
  conformance: running('--model', 'm', '--only', 'models'),
  doctor: { args: ({ file }) => ['-c', file] },
  completion: { args: () => ['bash'] },
};

/** They end only with a gateway: e2e/start.test.ts, stop.test.ts. */
const elsewhere: ReadonlySet<string> = new Set(['start', 'stop']);

const verbs = verbsOf(await program());
const leaves = verbs.filter(({ command }) => command.commands.length === 0).map(({ name }) => name);

/** The smallest model file: version 3, no tensor, no key. */
const weights = Buffer.concat([Buffer.from('GGUF'), Buffer.from(Uint32Array.of(3, 0, 0, 0, 0).buffer)]);

async function place(t: TestContext): Promise<Omit<Place, 'dir'>> {
  const dir = await tempDir(t);
  const [file, llamaSwap, trace] = [join(dir, 'config.yaml'), join(dir, 'swap.yaml'), join(dir, 'trace.csv')];
  await writeFile(file, configText(join(dir, 'state'), [fakeModel('m', {}, { autoscaling_config: { min_replicas: 0 } })]));
  await writeFile(llamaSwap, 'models: {m: {cmd: "llama-server --port ${PORT} -m /dev/null"}}\n');
  await writeFile(trace, 'time_s,model,duration_s\n10,m,1\n');
  const models = createServer(({ headers: { range } }, reply) => {
    const part = {
      etag: '"1"',
      'accept-ranges': 'bytes',
      'content-length': weights.length,
      ...(range !== undefined && { 'content-range': `bytes 0-${weights.length - 1}/${weights.length}` }),
    };
    reply.writeHead(range === undefined ? 200 : 206, part).end(weights);
  });
  await once(models.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    models.closeAllConnections();
    models.close();
  });
  const { stateDir } = await startGateway(t, [fakeModel('m')]);
  return { file, llamaSwap, trace, stateDir, modelUrl: `http://127.0.0.1:${(models.address() as AddressInfo).port}/m.gguf` };
}

const parsed = (text: string, lines: boolean): void => {
  for (const part of lines ? text.trimEnd().split('\n') : [text]) JSON.parse(part);
};

describe('every verb', () => {
  test('is in the table', () => assert.deepEqual(leaves.toSorted(), [...Object.keys(runs), ...elsewhere].toSorted()));

  test('answers in words without colours where nobody sees them, in JSON with --json, and not at all with --quiet', async (t) => {
    const shared = await place(t);
    for (const [verb, { args, lines, makesFile }] of Object.entries(runs)) {
      const run = async (...flags: readonly string[]) =>
        runGateway([...verb.split(' '), ...args({ ...shared, dir: await tempDir(t) }), ...flags], await tempDir(t));
      const [plain, json, quiet] = await Promise.all([run(), run('--json'), run('--quiet')]);
      for (const { code, stdout, stderr } of [plain, json, quiet]) {
        assert.equal(code, 0, `${verb}: ${stderr}${stdout}`);
        assert.ok(!`${stdout}${stderr}`.includes('\u001B'), `${verb}: ${JSON.stringify(stdout)}`);
      }
      assert.notEqual(plain.stdout, '', verb);
      assert.doesNotThrow(() => parsed(json.stdout, lines === true), `${verb}: ${json.stdout}`);
      assert.deepEqual([quiet.stdout, quiet.stderr], [makesFile === true ? plain.stdout : '', ''], verb);
    }
  });
});

describe('at a terminal', { skip: skipTerminal }, () => {
  test('verbs are coloured, and none where NO_COLOR is set', async (t) => {
    const { file, stateDir } = await place(t);
    for (const args of [
      ['doctor', '-c', file],
      ['logs', '--state-dir', stateDir],
    ]) {
      for (const [noColor, colours] of [
        ['', true],
        ['1', false],
      ] as const) {
        const env = { PATH: process.env['PATH'] ?? '', HOME: stateDir, TERM: 'xterm', NO_COLOR: noColor, NODE_COMPILE_CACHE: compiled };
        const terminal = atTerminal(t, [process.execPath, main, ...args], { cwd: stateDir, env });
        await terminal.exited;
        assert.notEqual(terminal.page().trim(), '', args[0]);
        // The sequence that sets colours, bold and the like.
        assert.equal(terminal.raw().includes('\u001B['), colours, `${args[0]}: ${JSON.stringify(terminal.raw())}`);
      }
    }
  });
});

const having = (option: string): readonly string[] =>
  verbs.filter(({ command }) => command.options.some(({ long }) => long === option)).map(({ name }) => name);
/** What a verb is given before `-c`. */
const operands: Readonly<Record<string, readonly string[]>> = {
  scale: ['m', '1'],
  chat: ['m', '--message', 'hi'],
  conformance: ['--model', 'm'],
  pull: ['m'],
  cache: ['ls'],
  lora: ['ls'],
  simulate: ['--load', 'model=m,rps=1,duration=1s,hours=1'],
};

describe('exit codes', () => {
  test('4 of every verb that reads a config, with its place; but doctor, which goes on', async (t) => {
    const dir = await tempDir(t);
    const file = join(dir, 'bad.yaml');
    await writeFile(file, 'llm_configs: []\n');
    for (const verb of having('--config')) {
      const { code, stdout, stderr } = await runGateway([verb, ...(operands[verb] ?? []), '-c', file], dir);
      assert.equal(code, verb === 'doctor' ? 1 : 4, `${verb}: ${stderr}`);
      assert.match(`${stdout}${stderr}`, /bad\.yaml:1:14: llm_configs: expected a list of at least one model, got an empty list/u, verb);
    }
  });

  test('1 of every verb that asks a running gateway where none runs, with what to do', async (t) => {
    const dir = await tempDir(t);
    for (const verb of having('--state-dir')) {
      const { code, stdout, stderr } = await runGateway([verb, ...(operands[verb] ?? []), '--state-dir', dir], dir);
      assert.deepEqual([code, stdout], [1, ''], `${verb}: ${stderr}`);
      assert.match(
        stderr,
        /^gateway: No gateway answers on \S+: none runs on that state directory; -c FILE or --state-dir DIR names another\.\n$/u,
        verb,
      );
    }
  });

  test('2 for each wrong use', async (t) => {
    const dir = await tempDir(t);
    for (const wrong of [
      ['nope'],
      ['plan'],
      ['scale', 'm'],
      ['scale', 'm', '-1'],
      ['status', '--json', '--quiet'],
      ['init'],
      ['key', 'nope'],
    ]) {
      const { code, stdout, stderr } = await runGateway(wrong, dir);
      assert.deepEqual([code, stdout], [2, ''], `${wrong.join(' ')}: ${stderr}`);
      assert.notEqual(stderr, '');
    }
  });
});
