import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TimeQueue } from "../../../../src/swarm/members/time-queue.ts";

test("events come in order of time, and at one time in the order in which they were planned", () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(20), { nil: undefined })), (steps) => {
      const queue = new TimeQueue<() => void>();
      const planned: { at: number; order: number }[] = [];
      const taken: object[] = [];
      const expected: object[] = [];
      // A number plans an event, nothing takes one.
      for (const [order, at] of steps.entries()) {
        if (at !== undefined) {
          planned.push({ at, order });
          queue.plan(at, () => taken.push({ at, order }));
          continue;
        }
        planned.sort((a, b) => a.at - b.at || a.order - b.order);
        assert.equal(queue.next, planned[0]?.at ?? Number.POSITIVE_INFINITY);
        const first = planned.shift();
        if (first !== undefined) expected.push(first);
        queue.take()?.item();
      }
      assert.deepEqual(taken, expected);
    }),
  );
});
