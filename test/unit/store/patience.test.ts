import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createPatience } from "../../../src/store/patience.ts";

test("patience follows the measured gap, within bounds", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 3 }), (gaps) => {
      const patience = createPatience();
      assert.equal(patience.limit(), 30_000, "nothing measured");
      let now = 1000;
      patience.arrived(now);
      for (const gap of gaps) patience.arrived((now += gap));
      assert.equal(patience.lastArrival(), now);
      assert.ok(patience.limit() >= 10_000 && patience.limit() <= 120_000);
      assert.ok(patience.limit() >= Math.min(120_000, 20 * Math.min(...gaps)));
    }),
  );
});

test("silence is met with more patience, an arrival ends that", () => {
  const patience = createPatience();
  assert.equal(patience.strike(), 1);
  assert.equal(patience.limit(), 60_000);
  assert.equal(patience.strike(), 2);
  patience.arrived(5);
  assert.equal(patience.limit(), 30_000);
});

test("idle time between fetches is not a gap", () => {
  const patience = createPatience();
  patience.arrived(0);
  patience.arrived(10);
  patience.arrived(10_000_000);
  assert.equal(patience.limit(), 10_000);
});
