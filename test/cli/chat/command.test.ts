import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, it, type TestContext } from 'node:test';
import { type FakeEngine, startFake } from '../../support/fake-engine.ts';
import { fakeModel, runGateway, startGateway, tempDir } from '../../support/gateway-process.ts';
import { atTerminal, controlC, controlD, enter, skipTerminal, type Terminal } from '../../support/terminal.ts';
import { until } from '../../support/until.ts';

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const nasty = 'red \u001B[31mtext\u001B]0;title\u0007 \u009B2J end';
const harmless = 'red [31mtext]0;title 2J end';

/** `gateway chat` with this on its stdin. */
async function piped(stdin: string, ...args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [main, 'chat', ...args], { stdio: 'pipe' });
  child.stdin.end(stdin);
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  return { code, stdout, stderr };
}

describe('gateway chat, one answer', () => {
  it('prints the answer and nothing else, whole as JSON or as it comes, and lets no terminal sequence through', async (t) => {
    const { stateDir } = await startGateway(t, [fakeModel('m', { text: nasty }), fakeModel('echo')]);
    const where = ['--state-dir', stateDir];
    const plain = await runGateway(['chat', 'm', '-m', 'hi', ...where]);
    assert.deepEqual(plain, { code: 0, stdout: `${harmless}\n`, stderr: '' });
    const json = await runGateway(['chat', 'm', '-m', 'hi', '--json', ...where]);
    assert.deepEqual(JSON.parse(json.stdout), { model: 'm', answer: nasty, finish_reason: 'stop' });
    const fromStdin = await piped('from a pipe\n', 'echo', '--system', 'be brief', ...where);
    assert.equal(fromStdin.code, 0, fromStdin.stderr);
    assert.equal(fromStdin.stdout, 'from a pipe\n');
  });

  it('says what is wrong: no such model, an empty message, a failed answer, no gateway', async (t) => {
    const { stateDir } = await startGateway(t, [
      fakeModel('model', { sse: 'error-mid', tokens: 10 }),
      fakeModel('down', { refuse_all: 400 }),
    ]);
    const where = ['--state-dir', stateDir];
    const unknown = await runGateway(['chat', 'modle', '-m', 'hi', ...where]);
    assert.deepEqual([unknown.code, unknown.stdout], [1, '']);
    assert.match(unknown.stderr, /^gateway: There is no model "modle"\. .*did you mean "model"/);
    assert.equal((await piped('\n', 'model', ...where)).code, 2);
    const broken = await runGateway(['chat', 'model', '-m', 'hi', ...where]);
    assert.equal(broken.code, 1);
    assert.match(broken.stderr, /^gateway: .+\n$/);
    const refused = await runGateway(['chat', 'down', '-m', 'hi', ...where]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /^gateway: .+\(.+\)\n$/);
    const nobody = await runGateway(['chat', 'model', '-m', 'hi', '--state-dir', `${stateDir}-none`]);
    assert.equal(nobody.code, 1);
    assert.match(nobody.stderr, /No gateway answers on/);
  });
});

const digest = (body: string): string => createHash('sha256').update(body).digest('hex');

/** The messages of a conversation. */
const said = (...words: readonly string[]): object[] =>
  words.map((content, at) => ({ role: at === 0 ? 'system' : at % 2 === 1 ? 'user' : 'assistant', content }));

/** A model of an engine that the test itself runs, and so can ask what it saw. */
async function servedByUpstream({ url, apiKey, servedName }: FakeEngine, t: TestContext): Promise<object> {
  const keyFile = join(await tempDir(t), 'key');
  await writeFile(keyFile, apiKey);
  return fakeModel(servedName, {}, {}, { upstreams: [{ url, key_file: keyFile }] });
}

function chat(t: TestContext, stateDir: string, ...args: readonly string[]): Terminal {
  const env = { PATH: process.env['PATH'] ?? '', HOME: stateDir, TERM: 'xterm', NO_COLOR: '1' };
  return atTerminal(t, [process.execPath, main, 'chat', ...args, '--state-dir', stateDir], { cwd: stateDir, env });
}

describe('gateway chat at a terminal', { skip: skipTerminal }, () => {
  it('sends what was said, until /clear; a paste of several lines is one message; Ctrl-D leaves', async (t) => {
    const engine = await startFake({}, t);
    const { stateDir } = await startGateway(t, [await servedByUpstream(engine, t)]);
    const terminal = chat(t, stateDir, engine.servedName, '--system', 'be brief');
    await terminal.shows(/fake-model at http:\/\/127\.0\.0\.1:\d+.*\/exit leaves\.[\s\S]*> /);
    for (const [keys, answer] of [
      ['first', /first[\s\S]*first\r\n> /],
      ['second', /second[\s\S]*second\r\n> /],
      ['/clear', /\/clear[\s\S]*> /],
      [`one${enter}two`, /two[\s\S]*one\s+two\r\n> /],
    ] as const) {
      terminal.press(`${keys}${enter}`);
      await terminal.shows(answer);
    }
    terminal.press(controlD);
    assert.equal(await terminal.exited, 0, terminal.page());
    assert.deepEqual(
      (await engine.state()).seen.map(({ sha256 }) => sha256),
      [said('be brief', 'first'), said('be brief', 'first', 'first', 'second'), said('be brief', 'one\ntwo')].map((messages) =>
        digest(JSON.stringify({ model: engine.servedName, messages, stream: true })),
      ),
    );
  });

  it('stops an answer on Ctrl-C, which the engine sees, goes on, and leaves on the next one', async (t) => {
    const gateway = await startGateway(t, [fakeModel('slow', { tokens: 1000, tokens_per_s: 20 })]);
    const terminal = chat(t, gateway.stateDir, 'slow');
    await terminal.shows(/> /);
    terminal.press(`word${enter}`);
    await terminal.shows(/word[\s\S]*word word word/);
    terminal.press(controlC);
    await terminal.shows(/\(stopped\)\r\n> /);
    await until('the engine is idle', async () => (await gateway.status())[0]?.replicas[0]?.inFlight === 0);
    terminal.press(controlC);
    assert.equal(await terminal.exited, 0, terminal.page());
  });

  it('tells an error and goes on; nothing of a model steers the terminal', async (t) => {
    const { stateDir } = await startGateway(t, [fakeModel('m', { text: nasty, refuse: [400] })]);
    const terminal = chat(t, stateDir, 'm');
    await terminal.shows(/> /);
    terminal.press(`a${enter}`);
    await terminal.shows(/error: .+\r\n> /);
    terminal.press(`b${enter}`);
    await terminal.shows(/red \[31mtext\]0;title 2J end\r\n> /);
    terminal.press(`/exit${enter}`);
    assert.equal(await terminal.exited, 0, terminal.page());
    assert.doesNotMatch(terminal.raw(), new RegExp(['\u001B\\[31m', '\u001B\\]0', '\u009B'].join('|')));
  });
});
