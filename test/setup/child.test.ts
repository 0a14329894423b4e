import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../setup/child.mjs';

const child = join(import.meta.dirname, '..', '..', 'setup', 'child.mjs');
const never = new AbortController().signal;
const node = (script: string, options = {}): Promise<string> => run(process.execPath, ['-e', script], { signal: never, ...options });

/** A process that relays `script`, and the first line of what it prints. */
async function relaying(script: string, linked: boolean) {
  const relay = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { relay } from ${JSON.stringify(child)}; process.exitCode = await relay(process.execPath, ['--input-type=module', '-e', ${JSON.stringify(script)}], { linked: ${linked} });`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [line] = (await once(relay.stdout.setEncoding('utf8'), 'data')) as [string];
  return { relay, line: line.trim() };
}

test('a program that succeeds gives what it printed', async () => {
  assert.equal(await node('console.log("out")'), 'out\n');
});

test('a program that fails is reported with how it ended and its last lines', async () => {
  await assert.rejects(node('console.error("a\\nb\\nc\\nd"); process.exitCode = 3'), /ended with code 3: b \| c \| d$/);
  await assert.rejects(node('process.kill(process.pid, "SIGKILL")'), /ended with SIGKILL/);
});

test('a program that is not there is reported by name', async () => {
  await assert.rejects(run('/nowhere/tool', [], { signal: never }), /\/nowhere\/tool cannot be run: .*ENOENT/);
});

test('a program that takes too long is stopped', async () => {
  await assert.rejects(node('setInterval(() => {}, 1000)', { timeoutMs: 50 }), /took longer than 50 ms/);
});

test('an abort ends the program first and then rejects with the reason', async () => {
  const controller = new AbortController();
  const running = node('setInterval(() => {}, 1000)', { signal: controller.signal });
  controller.abort(new Error('enough'));
  await assert.rejects(running, /^Error: enough$/);
  await assert.rejects(node('', { signal: controller.signal }), /^Error: enough$/);
});

test('a relay passes a signal on, waits however long the program takes, and ends with its exit code', async () => {
  const { relay } = await relaying(
    'process.once("SIGTERM", () => setTimeout(() => process.exit(7), 50)); setInterval(() => {}, 1000); console.log("up");',
    false,
  );
  relay.kill('SIGTERM');
  assert.deepEqual(await once(relay, 'exit'), [7, null]);
});

test('a relay tells of a program that a signal ended as a shell does', async () => {
  const { relay } = await relaying('console.log("up"); setInterval(() => {}, 1000);', false);
  relay.kill('SIGINT');
  assert.deepEqual(await once(relay, 'exit'), [130, null]);
});

test('a linked program ends when the relaying process is killed', async () => {
  const { relay, line } = await relaying(
    `import { followParent } from ${JSON.stringify(child)}; followParent(); console.log(process.pid); setInterval(() => {}, 1000);`,
    true,
  );
  const pid = Number(line);
  assert.equal(process.kill(pid, 0), true);
  const closed = once(relay, 'close');
  relay.kill('SIGKILL');
  // The program holds the same output: it closes only when both are gone.
  await closed;
});
