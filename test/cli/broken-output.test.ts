import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, it, type TestContext } from 'node:test';
import { configText, fakeModel, startGateway, tempDir } from '../support/gateway-process.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** `gateway …`, whose output nobody reads. */
async function unread(...args: readonly string[]): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const [stderr, [code]] = await Promise.all([text(child.stderr), exited]);
  return { code, stderr };
}

/** `gateway …` by a shell, which redirects its output. */
async function redirected(redirection: string, ...args: readonly string[]): Promise<{ code: number | null; stderr: string }> {
  const child = spawn('sh', ['-c', `exec "$@" ${redirection}`, 'sh', process.execPath, main, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const [stderr, [code]] = await Promise.all([text(child.stderr), exited]);
  return { code, stderr };
}

async function configFile(t: TestContext): Promise<string> {
  const dir = await tempDir(t);
  const file = join(dir, 'config.yaml');
  await writeFile(file, configText(join(dir, 'state'), [fakeModel('m')]));
  return file;
}

describe('a verb whose output nobody reads', () => {
  it('ends as if it were read', async (t) => {
    const { stateDir } = await startGateway(t, [fakeModel('m')]);
    for (const args of [['schema'], ['version'], ['status', '--state-dir', stateDir], ['status', '--json', '--state-dir', stateDir]])
      assert.deepEqual(await unread(...args), { code: 0, stderr: '' }, args.join(' '));
  });

  it('fails where the disk is full: an answer is lost', async () => {
    const { code, stderr } = await redirected('> /dev/full', 'version');
    assert.equal(code, 1);
    assert.match(stderr, /^gateway: cannot write to stdout: .*ENOSPC.*\n$/);
  });

  it('has its exit code although its complaint cannot be written', async () => {
    assert.equal((await redirected('2> /dev/full', 'status', '--state-dir', '/nonexistent')).code, 1);
  });

  it('is a gateway that serves on, and stops as it should', async (t) => {
    const child = spawn(process.execPath, [main, 'start', '-c', await configFile(t)], { stdio: ['ignore', 'pipe', 'pipe'] });
    t.after(() => child.kill('SIGKILL'));
    const [exited, logged] = [once(child, 'exit') as Promise<[number | null]>, text(child.stderr)];
    let seen = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (seen += part));
    while (!seen.includes('Ctrl-C stops it')) await once(child.stdout, 'data');
    child.stdout.destroy();
    const url = /Ready at (\S+)/.exec(seen)?.[1] ?? '';
    assert.equal((await fetch(`${url}/v1/models`)).status, 200);
    child.kill('SIGTERM');
    assert.equal((await exited)[0], 0);
    assert.doesNotMatch(await logged, /EPIPE|escaped/);
  });
});
