import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { vllm } from '../../src/plugins/vllm/index.ts';
import { RunLog } from '../../src/supervisor/run-log.ts';
import { ManualClock } from '../support/manual-clock.ts';

const adapter = 'ValueError: Loading lora bad failed: No adapter found for /models/nope';
const memory = 'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.';
const core = 'RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}';

describe('what the log of a run tells', () => {
  test('the first cause counts, and while it starts whatever comes after it is its consequence', async () => {
    const clock = new ManualClock();
    const log = new RunLog(vllm.configure({}), clock);
    assert.equal(log.read(memory), true);
    await clock.advance(120_000);
    assert.equal(log.read(core), false);
    assert.equal(log.cause?.cause, 'GPU out of memory');
  });

  test('a cause that the engine has survived for long is not why it died', async () => {
    const clock = new ManualClock();
    const log = new RunLog(vllm.configure({}), clock);
    log.pardon();
    assert.equal(log.read(adapter), true);
    await clock.advance(3_600_000);
    assert.equal(log.read(core), true);
    assert.equal(log.cause?.line, core);
  });

  test('an engine that became ready in spite of a cause is pardoned', () => {
    const log = new RunLog(vllm.configure({}), new ManualClock());
    log.read(memory);
    log.pardon();
    assert.equal(log.cause, undefined);
  });
});
