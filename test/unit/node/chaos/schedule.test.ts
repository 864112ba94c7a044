import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Fault, FAULTS, parseChaos, schedule } from "../../../../node/chaos/schedule.ts";
import { UsageError } from "../../../../src/errors.ts";

const peers = ["peer-1", "peer-2", "peer-3"];
const first = (count: number, seed: number, rate = 60): Fault[] => [
  ...schedule({ seed, rate, peers, meanMs: 1000, count }),
];

test("a seed fixes the faults, another seed has others", () => {
  assert.deepEqual(first(50, 7), first(50, 7));
  assert.notDeepEqual(first(50, 7), first(50, 8));
});

test("faults come at the rate that was asked for, of all kinds, within bounds", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e6 }), fc.integer({ min: 1, max: 10_000 }), (seed, rate) => {
      const faults = first(2000, seed, rate);
      const hours = faults.reduce((sum, { after }) => sum + after, 0) / 3_600_000;
      // Of a Poisson process of 2000 events the standard deviation is 2.2 %.
      assert.ok(Math.abs(2000 / hours / rate - 1) < 0.15);
      assert.deepEqual(new Set(faults.map(({ kind }) => kind)), new Set(FAULTS));
      for (const { lasts, order } of faults) {
        assert.ok(lasts >= 200 && lasts <= 3000);
        assert.deepEqual(order.toSorted(), peers);
      }
    }),
    { numRuns: 20 },
  );
});

test("--chaos is read as it is written in the help", () => {
  assert.deepEqual(parseChaos("seed=7,rate=60/h"), { seed: 7, rate: 60 });
  assert.deepEqual(parseChaos("rate=2.5"), { seed: 0, rate: 2.5 });
  assert.deepEqual(parseChaos(""), { seed: 0, rate: 60 });
  for (const wrong of ["seed", "rate=fast", "speed=3", "rate=0/h", "seed=1.5"])
    assert.throws(() => parseChaos(wrong), UsageError);
});
