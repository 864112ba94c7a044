import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createTakeovers, summarise, type LeaseEvent } from "../../../src/audit/takeovers.ts";

const LEASE = 1000;
const lease = (state: LeaseEvent["state"], path = 0): LeaseEvent => ({ state, round: 2, path, replica: 0 });

/** `ann` holds path 0 since 0 and is struck at 5000; `bob` is idle. */
function struck(): ReturnType<typeof createTakeovers> {
  const takeovers = createTakeovers({ leaseMs: LEASE, listenMs: 300 });
  for (const peer of ["ann", "bob"]) takeovers.started(0, peer);
  takeovers.lease(0, "ann", lease("claimed"));
  takeovers.lease(0, "ann", lease("started"));
  takeovers.struck(5000, "ann", "halted");
  return takeovers;
}

const times = (takeovers: ReturnType<typeof struck>): number[] =>
  takeovers.all().map(({ milliseconds }) => milliseconds);

describe("takeovers", () => {
  it("are measured from the fault to the next claim of another peer, once", () => {
    const takeovers = struck();
    takeovers.lease(6700, "bob", lease("claimed"));
    takeovers.lease(6900, "bob", lease("started"));
    assert.deepEqual(takeovers.all(), [
      { slot: "2/0/0", from: "ann", by: "bob", since: 5000, milliseconds: 1700 },
    ]);
  });

  it("may come before the expiry", () => {
    const takeovers = struck();
    takeovers.lease(5400, "bob", lease("claimed"));
    assert.deepEqual(times(takeovers), [400]);
  });

  it("leave out the time in which nobody could take over", () => {
    const takeovers = struck();
    takeovers.lease(5500, "bob", lease("claimed", 1));
    // 500 ms after the expiry bob is done, and takes 300 ms.
    takeovers.lease(6500, "bob", lease("completed", 1));
    takeovers.lease(6800, "bob", lease("claimed"));
    assert.deepEqual(times(takeovers), [1300]);
  });

  it("do not count peers that are down as able", () => {
    const takeovers = struck();
    takeovers.struck(5100, "bob", "halted");
    takeovers.over(9000, "bob", "halted");
    takeovers.lease(9200, "bob", lease("claimed"));
    assert.deepEqual(times(takeovers), [1200]);
  });

  it("are not needed when the holder is back, or done, before anybody claims", () => {
    for (const rescue of [
      (takeovers: ReturnType<typeof struck>) => takeovers.over(5600, "ann", "halted"),
      (takeovers: ReturnType<typeof struck>) => takeovers.lease(5600, "ann", lease("completed")),
      (takeovers: ReturnType<typeof struck>) => takeovers.lease(5600, "eve", lease("completed")),
    ]) {
      const takeovers = struck();
      rescue(takeovers);
      takeovers.lease(6700, "bob", lease("claimed"));
      assert.deepEqual(times(takeovers), []);
    }
  });

  it("do not count a peer as able that is killed within a cut, when the cut is healed", () => {
    const takeovers = struck();
    takeovers.struck(5100, "bob", "cut");
    takeovers.struck(5200, "bob", "halted");
    takeovers.over(5300, "bob", "cut");
    assert.equal(takeovers.isSilent("bob"), true);
    takeovers.started(9000, "bob");
    // It listens for 300 ms.
    takeovers.lease(9500, "bob", lease("claimed"));
    assert.deepEqual(times(takeovers), [1200]);
  });

  it("do not count leases of which a restart has freed their holder", () => {
    const takeovers = struck();
    takeovers.started(5500, "ann");
    takeovers.struck(7000, "ann", "halted");
    takeovers.lease(20_000, "bob", lease("claimed"));
    assert.deepEqual(times(takeovers), []);
  });

  it("do not count leases that nobody else was there to hear of", () => {
    const takeovers = struck();
    takeovers.lease(5000, "bob", lease("claimed", 1));
    takeovers.struck(5100, "bob", "cut");
    takeovers.lease(5200, "bob", lease("completed", 1));
    takeovers.lease(5300, "bob", lease("claimed", 2));
    takeovers.struck(5400, "bob", "halted");
    takeovers.started(9000, "eve");
    takeovers.lease(9400, "eve", lease("claimed", 2));
    assert.deepEqual(takeovers.all(), []);
  });

  it("are not what a peer behind the same cut, or on another slot, does", () => {
    const takeovers = struck();
    takeovers.struck(5000, "eve", "cut");
    takeovers.lease(5100, "eve", lease("claimed"));
    takeovers.lease(5200, "bob", lease("claimed", 3));
    assert.deepEqual(times(takeovers), []);
  });

  it("have a median and a maximum", () => {
    assert.equal(summarise([]), null);
    assert.deepEqual(summarise([9, 1, 5]), { median: 5, max: 9 });
  });
});
