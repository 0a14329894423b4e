import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { probed } from './memory.ts';

/** Asks before its threads can have heard of it, and again once one of them has ended. */
const program = `
  import { Worker } from 'node:worker_threads';
  process.kill(process.pid, 'SIGUSR2');
  const code = "import { parentPort } from 'node:worker_threads'; parentPort.once('message', () => process.exit())";
  const [leaves, stays] = [1, 2].map(() => new Worker(new URL('data:text/javascript,' + encodeURIComponent(code))));
  leaves.once('exit', () => process.kill(process.pid, 'SIGUSR2'));
  const write = process.stderr.write;
  process.stderr.write = (line) => {
    if (line.includes('"round":1')) leaves.postMessage('end');
    if (line.includes('"round":2')) stays.postMessage('end');
    return write.call(process.stderr, line);
  };
`;

test('the memory of a process is told once each time it is asked for, with threads that begin or end meanwhile', async (t) => {
  const child = spawn(process.execPath, [...probed.nodeArgs, '--input-type=module', '--eval', program], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  const [told, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  assert.equal(code, 0, told);
  const lines = told.trim().split('\n');
  const rounds = lines.map((line) => (JSON.parse(line) as { memory: { round: number; keptBytes: number } }).memory);
  assert.deepEqual(
    rounds.map(({ round }) => round),
    [1, 2],
    told,
  );
  assert.ok((rounds[0]?.keptBytes ?? 0) > (rounds[1]?.keptBytes ?? 0), 'the first time three threads are counted, then two');
});
