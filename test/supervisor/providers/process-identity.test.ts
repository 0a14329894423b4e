import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { ageMs, identify, lives, ProcessHold } from '../../../src/supervisor/providers/process-identity.ts';
import { readStat } from '../../../src/supervisor/providers/processes.ts';
import type { ProcessIdentity } from '../../../src/supervisor/providers/process-identity.ts';

/** A process of ours that ends when it is told to. */
async function start(t: TestContext): Promise<{ identity: ProcessIdentity; end: () => Promise<void> }> {
  const child = spawn(process.execPath, ['-e', `process.stdin.resume().on('end', () => process.exit()); console.log('up')`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  const identity = identify(child.pid ?? 0);
  assert.ok(identity);
  return {
    identity,
    end: async () => {
      const exited = once(child, 'exit');
      child.stdin.end();
      await exited;
    },
  };
}

test('a process is itself, and nobody else with its pid', async (t) => {
  const { identity, end } = await start(t);
  assert.equal(lives(identity), true);
  assert.equal(lives({ ...identity, startTime: identity.startTime + 1 }), false);
  assert.equal(lives({ ...identity, bootId: 'another boot' }), false);
  const age = ageMs(identity);
  assert.ok(age >= 0 && age < 60_000, `${age} ms`);
  await end();
  assert.equal(lives(identity), false);
  assert.equal(identify(identity.pid), undefined);
});

test('the end of a process that is held is seen; of another one it cannot be taken', async (t) => {
  const { identity, end } = await start(t);
  assert.equal(ProcessHold.take({ ...identity, startTime: identity.startTime + 1 }), undefined);
  assert.equal(ProcessHold.take({ ...identity, bootId: 'another boot' }), undefined);
  const hold = ProcessHold.take(identity);
  assert.equal(hold?.alive(), true);
  await end();
  assert.equal(hold?.alive(), false);
  hold?.close();
  hold?.close();
  assert.equal(ProcessHold.take(identity), undefined);
});

test('a zombie has ended: its parent has not collected it', async (t) => {
  // The `cat` that the shell becomes, as its echo proves, never collects the child that the shell began.
  const parent = spawn('sh', ['-c', 'cat <&3 >/dev/null & echo $!; exec cat'], { stdio: ['pipe', 'pipe', 'inherit', 'pipe'] });
  t.after(() => parent.kill('SIGKILL'));
  assert.ok(parent.stdout && parent.stdin);
  const [printed] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(printed);
  const echoed = once(parent.stdout, 'data');
  parent.stdin.write('echo');
  await echoed;
  const identity = identify(pid);
  assert.ok(identity);
  const hold = ProcessHold.take(identity);
  assert.ok(hold);
  t.after(() => hold.close());
  const input = parent.stdio[3];
  assert.ok(input instanceof Writable);
  input.end();
  // Its memory goes a moment before it is a zombie.
  while (readStat(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.zombie === false) await setImmediate();
  assert.equal(hold.alive(), false);
  assert.equal(lives(identity), false);
});
