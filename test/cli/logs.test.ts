import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, it, type TestContext } from 'node:test';
import { inWords } from '../../src/cli/logs.ts';
import { fakeModel, runGateway, startGateway } from '../support/gateway-process.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** `gateway logs -f`, whose output can be waited for. */
function follow(t: TestContext, ...args: readonly string[]) {
  const child = spawn(process.execPath, [main, 'logs', '-f', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  let seen = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (seen += part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => (errors += part));
  return {
    child,
    exited,
    errors: () => errors,
    async shows(pattern: RegExp): Promise<void> {
      while (!pattern.test(seen)) {
        assert.equal(child.exitCode, null, `ended before it showed ${pattern}:\n${seen}\n${errors}`);
        await Promise.race([once(child.stdout, 'data'), exited]);
      }
    },
  };
}

describe('gateway logs', () => {
  it('prints the last lines of all, of a model, or of a replica, and nothing that steers the terminal', async (t) => {
    const { stateDir } = await startGateway(t, [
      fakeModel('a', { log: ['first', 'red \u001B[31mtext\u001B]0;title\u0007 \u202Eend'] }, { num_replicas: 2 }),
      fakeModel('b'),
    ]);
    const logs = (...args: readonly string[]) => runGateway(['logs', ...args, '--state-dir', stateDir]);
    const all = await logs();
    assert.equal(all.code, 0, all.stderr);
    assert.deepEqual([...new Set(all.stdout.match(/^.+?(?= \| )/gm))].sort(), ['a #0', 'a #1', 'b #0']);
    assert.match(all.stdout, /^a #0 \| red text end$/m);
    const model = await logs('a', '--lines', '1');
    assert.match(model.stdout, /^a #0 \| .+\na #1 \| .+\n$/);
    const replica = await logs('a#1');
    assert.match(replica.stdout, /^(?:a #1 \| .*\n)+$/);
    const json = (await logs('a #1', '--json')).stdout.trimEnd().split('\n');
    const parsed = json.map((line) => JSON.parse(line) as { replica: string; line: string });
    assert.ok(parsed.some(({ replica: name, line }) => name === 'a #1' && line === 'first'));
    assert.deepEqual(await logs('--quiet'), { code: 0, stdout: '', stderr: '' });
  });

  it('refuses what is not there, and a count that is none', async (t) => {
    const { stateDir } = await startGateway(t, [fakeModel('a')]);
    const logs = (...args: readonly string[]) => runGateway(['logs', ...args, '--state-dir', stateDir]);
    assert.deepEqual(await logs('c', '-f'), {
      code: 1,
      stdout: '',
      stderr: 'gateway: There is no model or replica "c". The models are: a.\n',
    });
    assert.equal((await logs('--lines', 'few')).code, 2);
    const nobody = await runGateway(['logs', '-f', '--state-dir', `${stateDir}-none`]);
    assert.equal(nobody.code, 1);
    assert.match(nobody.stderr, /^gateway: No gateway answers on \S+-none\/admin\.sock/);
  });

  it('follows what comes, of a replica that starts later too, until Ctrl-C', async (t) => {
    const { stateDir } = await startGateway(t, [fakeModel('a')]);
    const logs = follow(t, 'a', '--state-dir', stateDir);
    await logs.shows(/^a #0 \| /m);
    assert.equal((await runGateway(['scale', 'a', '2', '--state-dir', stateDir])).code, 0);
    await logs.shows(/^a #1 \| /m);
    logs.child.kill('SIGINT');
    assert.equal(await logs.exited, 0);
    assert.equal(logs.errors(), '');
  });

  it('ends with a failure when the gateway ends, and without one when nobody reads any more', async (t) => {
    const gateway = await startGateway(t, [fakeModel('a')]);
    const [left, unread] = [follow(t, '--state-dir', gateway.stateDir), follow(t, '--state-dir', gateway.stateDir)];
    await Promise.all([left.shows(/a #0/), unread.shows(/a #0/)]);
    unread.child.stdout.destroy();
    assert.equal((await runGateway(['scale', 'a', '2', '--state-dir', gateway.stateDir])).code, 0);
    assert.equal(await unread.exited, 0, unread.errors());
    assert.equal(unread.errors(), '');
    gateway.signal('SIGTERM');
    assert.equal(await left.exited, 1);
    assert.match(left.errors(), /^gateway: .*admin\.sock.*\n$/);
  });
});

describe('a line of a log', () => {
  const line = { replica: 'm #0', line: 'a \u001B[31mb\u202E' };
  it('has colour on the name alone, and only where colours may go', () => {
    assert.equal(inWords(false)(line), 'm #0 | a [31mb\n');
    assert.equal(inWords(true)(line), '\u001B[36mm #0\u001B[39m | a [31mb\n');
  });
});
