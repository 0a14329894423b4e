import assert from 'node:assert/strict';
import { test } from 'node:test';
import { markerOf, readStat } from '../../../src/supervisor/providers/processes.ts';

test('the state, group and start of a process, whatever its name', () => {
  const rest = '0 -1 4194560 5 0 0 0 2 0 0 0 20 0 1 0 661372 5124096';
  assert.deepEqual(readStat(`42 (engine) S 1 40 40 ${rest}`), { zombie: false, pgid: 40, startTime: 661_372 });
  assert.deepEqual(readStat(`42 (a) b) Z 1 2 (x) Z 1 77 77 ${rest}`), { zombie: true, pgid: 77, startTime: 661_372 });
  assert.equal(readStat(''), undefined);
  assert.equal(readStat('42 (engine) S 1 40 40 0'), undefined);
});

test('the marker is one whole variable', () => {
  assert.equal(markerOf('A=1\0ROUNDHOUSE_REPLICA=demo-0-ab\0B=2\0'), 'demo-0-ab');
  assert.equal(markerOf('XROUNDHOUSE_REPLICA=demo-0-ab\0'), undefined);
  assert.equal(markerOf(''), undefined);
});
