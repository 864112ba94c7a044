import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { believedPeriod, leaseTime, periodOf } from "../../../../src/swarm/members/interval.ts";

const HEARTBEAT = 2000;

test("up to sixteen peers speak every heartbeat period", () => {
  for (let peers = 1; peers <= 16; peers++) assert.equal(periodOf(HEARTBEAT, peers), HEARTBEAT);
  assert.equal(periodOf(HEARTBEAT, 17), 2 * HEARTBEAT);
});

test("however many speak, a heartbeat period holds 8 to 16 heartbeats", () => {
  fc.assert(
    fc.property(fc.integer({ min: 17, max: 100_000 }), (peers) => {
      const heartbeats = (peers * HEARTBEAT) / periodOf(HEARTBEAT, peers);
      assert.ok(heartbeats > 8 && heartbeats <= 16, `${peers} peers: ${heartbeats}`);
    }),
  );
});

test("nobody is believed to speak more often than the run says, or far more seldom than its size explains", () => {
  assert.equal(believedPeriod(HEARTBEAT, 1, 4), HEARTBEAT);
  assert.equal(believedPeriod(HEARTBEAT, 3_600_000, 4), 2 * HEARTBEAT);
  assert.equal(believedPeriod(HEARTBEAT, 16_000, 128), 16_000);
});

test("a lease outlives four periods, and no less than the run's lease time", () => {
  assert.equal(leaseTime(20_000, HEARTBEAT), 20_000);
  assert.equal(leaseTime(20_000, 16_000), 64_000);
});
