import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createLeases, yields } from "../../../../src/swarm/plan/leases.ts";

const slot = { work: "train" as const, round: 3, path: 1, replica: 0 };
const notice = { ...slot, progress: 0.25 };

test("a lease lives for the lease time after the last heartbeat that named it", () => {
  const leases = createLeases(1000);
  leases.heard("a", [notice], 0);
  leases.heard("a", [{ ...notice, progress: 0.5 }], 800);
  const [lease] = leases.on(slot, 1799);
  assert.deepEqual([lease?.holder, lease?.since, lease?.progress, lease?.expires], ["a", 0, 0.5, 1800]);
  assert.deepEqual(leases.on(slot, 1800), []);
});

test("the lease of a peer that speaks seldom lives longer", () => {
  const leases = createLeases(1000);
  leases.heard("a", [notice], 0, 8000);
  assert.equal(leases.on(slot, 7999).length, 1);
  assert.deepEqual(leases.on(slot, 8000), []);
});

test("a heartbeat without the lease frees it at once", () => {
  const leases = createLeases(1000);
  leases.heard("a", [notice], 0);
  leases.heard("a", [], 10);
  assert.deepEqual(leases.of("a", 11), []);
});

test("a heartbeat replaces all that its peer claimed before, and touches nobody else's claims", () => {
  const leases = createLeases(1000);
  const other = { ...notice, path: 2 };
  leases.heard("a", [notice], 0);
  leases.heard("b", [notice], 0);
  leases.heard("a", [other], 10);
  assert.deepEqual(
    leases.on(slot, 20).map(({ holder }) => holder),
    ["b"],
  );
  assert.deepEqual(
    leases.of("a", 20).map(({ path }) => path),
    [2],
  );
});

test("a lease whose holder talks but does not get on binds nobody after ten lease times", () => {
  const leases = createLeases(1000);
  for (let now = 0; now <= 9900; now += 300) leases.heard("a", [notice], now);
  assert.equal(leases.on(slot, 9999).length, 1);
  leases.heard("a", [notice], 10_000);
  assert.deepEqual(leases.on(slot, 10_000), []);
  assert.equal(leases.of("a", 10_000).length, 1, "its holder is busy all the same");
  leases.heard("a", [{ ...notice, progress: 0.26 }], 10_100);
  assert.equal(leases.on(slot, 10_100).length, 1, "a single step renews it");
});

test("a peer that claims many slots keeps others from one", () => {
  const leases = createLeases(1000);
  leases.heard(
    "a",
    [0, 1, 2, 3].map((path) => ({ ...notice, path })),
    0,
  );
  assert.deepEqual(
    leases.of("a", 1).map(({ path }) => path),
    [0],
  );
});

test("steps of less than a hundredth do not hold a lease for ever", () => {
  const leases = createLeases(1000);
  let progress = 0;
  for (let now = 0; now < 20_000; now += 500)
    leases.heard("a", [{ ...slot, progress: (progress += 1e-4) }], now);
  assert.deepEqual(leases.on(slot, 20_000), []);
  leases.heard("a", [{ ...slot, progress: 0.02 }], 20_000);
  assert.equal(leases.on(slot, 20_000).length, 1, "real progress does");
});

const share = fc.double({ min: 0, max: 1, noNaN: true });

test("of two rivals under half done exactly one yields, and nobody throws half of a round away", () => {
  fc.assert(
    fc.property(fc.string(), share, share, fc.nat(99), (run, left, right, round) => {
      const contested = { ...slot, round };
      const a = { peer: "a", progress: left };
      const b = { peer: "b", progress: right };
      const aYields = yields(run, contested, a, b);
      const bYields = yields(run, contested, b, a);
      assert.ok(!(aYields && bYields), "never both");
      if (left >= 0.5) assert.ok(!aYields);
      if (right >= 0.5) assert.ok(!bYields);
      if (left < 0.5 && right < 0.5) assert.ok(aYields || bYields, "never neither");
    }),
  );
});

test("while the revision is the same and the time has not come, the same leases bind and the same peers hold", () => {
  const step = fc.record({
    holder: fc.constantFrom("a", "b", "c"),
    path: fc.option(fc.nat(1), { nil: undefined }),
    progress: share,
    leaseMs: fc.constantFrom(1000, 4000),
    wait: fc.nat(3000),
    prunes: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const leases = createLeases(1000);
      let now = 0;
      const look = (): unknown => ({
        binds: [0, 1].map((path) => leases.binds({ ...slot, path }, now)),
        holders: ["a", "b", "c"].filter((holder) => leases.of(holder, now).length > 0),
      });
      let before = { revision: leases.revision, settled: leases.settled, seen: look() };
      for (const { holder, path, progress, leaseMs, wait, prunes } of steps) {
        now += wait;
        leases.heard(holder, path === undefined ? [] : [{ ...slot, path, progress }], now, leaseMs);
        if (prunes) leases.prune(now);
        for (const other of [0, 1])
          assert.equal(
            leases.binds({ ...slot, path: other }, now),
            leases.on({ ...slot, path: other }, now).length > 0,
          );
        if (leases.revision === before.revision && now < Math.min(before.settled, leases.settled))
          assert.deepEqual(look(), before.seen);
        before = { revision: leases.revision, settled: leases.settled, seen: look() };
      }
    }),
    { numRuns: 500 },
  );
});
