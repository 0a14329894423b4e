import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LiveSet } from '../../src/gateway/live-set.ts';

test('LiveSet holds what a Set holds, whatever comes and goes', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(9))), (steps) => {
      const members = Array.from({ length: 10 }, (_, id) => ({ id, seat: -1 }));
      const live = new LiveSet<(typeof members)[number]>();
      const model = new Set<number>();
      for (const [adds, at] of steps) {
        const member = members[at] ?? assert.fail();
        if (adds) live.add(member);
        else live.delete(member);
        if (adds) model.add(at);
        else model.delete(at);
      }
      assert.equal(live.size, model.size);
      assert.deepEqual(new Set(live.snapshot().map(({ id }) => id)), model);
      assert.ok(members.every(({ id, seat }) => seat === -1 || model.has(id)));
    }),
  );
});
