import assert from 'node:assert/strict';
import { test } from 'node:test';
import pino from 'pino';
import { GatewayError } from '../../src/core/errors.ts';
import { watchStateDir } from '../../src/supervisor/state-dir-watch.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** A directory whose state the test sets, and what is told of it. */
class Scene {
  readonly clock = new ManualClock();
  readonly told: string[] = [];
  replaced = false;
  writable = true;
  /** Whether the leases find no room. */
  full = false;
  restored = 0;
  roomsMade = 0;
  readonly stop: () => void;

  constructor() {
    const log = pino({ base: null }, { write: (line: string) => void this.told.push((JSON.parse(line) as { msg: string }).msg) });
    const claim = {
      dir: '/state',
      renew: () => {
        const was = this.replaced;
        this.replaced = false;
        return was;
      },
      assertWritable: () => {
        if (!this.writable) throw new GatewayError('state_unusable', 'Cannot use the state directory /state: EROFS.');
      },
      release: () => undefined,
    };
    this.stop = watchStateDir(this.clock, log, claim, {
      restore: () => {
        if (this.full) throw new GatewayError('state_unusable', 'no room.');
        this.restored += 1;
      },
      makeRoom: () => {
        this.roomsMade += 1;
      },
    });
  }

  async look(): Promise<readonly string[]> {
    await this.clock.advance(2_000);
    return this.told.splice(0);
  }
}

test('a state directory that cannot be written is told of once, and once when it can again', async () => {
  const scene = new Scene();
  assert.deepEqual(await scene.look(), []);
  scene.writable = false;
  assert.match((await scene.look()).join('\n'), /^Cannot use the state directory \/state: EROFS\. What runs goes on; [^\n]*$/u);
  assert.deepEqual(await scene.look(), []);
  scene.writable = true;
  assert.deepEqual(await scene.look(), ['the state directory /state can be used again']);
  scene.stop();
  scene.writable = false;
  assert.deepEqual(await scene.look(), [], 'nobody looks any more');
});

test('room is made at each look while the directory cannot be written, and not else', async () => {
  const scene = new Scene();
  await scene.look();
  assert.equal(scene.roomsMade, 0);
  scene.writable = false;
  await scene.look();
  await scene.look();
  assert.equal(scene.roomsMade, 2);
  scene.writable = true;
  await scene.look();
  assert.equal(scene.roomsMade, 2);
  scene.stop();
});

test('what must be in a directory that was made anew is written as soon as there is room for it', async () => {
  const scene = new Scene();
  scene.replaced = true;
  scene.full = true;
  assert.match((await scene.look()).join('\n'), /^the state directory \/state is lost: no room\. [^\n]*$/u);
  scene.full = false;
  const told = await scene.look();
  assert.equal(scene.restored, 1);
  assert.match(told[0] ?? '', /was deleted or replaced while the gateway ran; it was made anew/u);
  assert.equal(told[1], 'the state directory /state can be used again');
  assert.deepEqual(await scene.look(), []);
  assert.equal(scene.restored, 1);
  scene.stop();
});
