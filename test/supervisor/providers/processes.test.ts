import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasMarker, readStat } from '../../../src/supervisor/providers/processes.ts';

test('the state and group of a process, whatever its name', () => {
  assert.deepEqual(readStat('42 (engine) S 1 40 40 0 -1'), { zombie: false, pgid: 40 });
  assert.deepEqual(readStat('42 (a) b) Z 1 2 (x) Z 1 77 77 0'), { zombie: true, pgid: 77 });
  assert.equal(readStat(''), undefined);
});

test('the marker is one whole variable', () => {
  assert.equal(hasMarker('A=1\0ROUNDHOUSE_REPLICA=demo-0-ab\0B=2\0', 'demo-0-ab'), true);
  assert.equal(hasMarker('A=1\0ROUNDHOUSE_REPLICA=demo-0-abc\0', 'demo-0-ab'), false);
  assert.equal(hasMarker('XROUNDHOUSE_REPLICA=demo-0-ab\0', 'demo-0-ab'), false);
});
