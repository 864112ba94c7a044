import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TokenBucket } from "../../../src/net/token-bucket.ts";

test("a burst is free, and what goes beyond is owed for its time", () => {
  const bucket = new TokenBucket(1000, 100, 0);
  assert.equal(bucket.take(100, 0), 0);
  assert.equal(bucket.take(50, 0), 50);
  assert.equal(bucket.wait(20), 30);
  assert.equal(bucket.wait(50), 0);
  assert.equal(bucket.take(10, 50), 10);
});

test("idle time is saved up to the burst and no further", () => {
  const bucket = new TokenBucket(1000, 100, 0);
  assert.equal(bucket.take(300, 60_000), 200);
});

test("a clock that goes back gives nothing", () => {
  const bucket = new TokenBucket(1000, 0, 1000);
  assert.equal(bucket.take(10, 1000), 10);
  assert.equal(bucket.wait(0), 10);
});

test("senders that wait as told hold the rate, whatever the pieces and however late their timers", () => {
  const pieces = fc.array(
    fc.record({ bytes: fc.integer({ min: 1, max: 65_536 }), late: fc.integer({ min: 0, max: 40 }) }),
    { minLength: 200, maxLength: 400 },
  );
  fc.assert(
    fc.property(fc.integer({ min: 1_000_000, max: 20_000_000 }), pieces, (rate, list) => {
      const burst = rate / 10;
      const bucket = new TokenBucket(rate, burst, 0);
      let now = 0;
      let sent = 0;
      for (const { bytes, late } of list) {
        const owed = bucket.wait(now);
        if (owed > 0) now += owed + late;
        bucket.take(bytes, now);
        sent += bytes;
        // Never more than the time allows, but for the burst and the last piece.
        assert.ok(sent <= (rate * now) / 1000 + burst + bytes);
      }
      // Nor less: lateness is caught up within the burst of 100 ms.
      const ideal = ((sent - burst) / rate) * 1000;
      assert.ok(now <= Math.max(0, ideal) + 42, `${now} ms instead of ${ideal}`);
    }),
    { seed: 7 },
  );
});
