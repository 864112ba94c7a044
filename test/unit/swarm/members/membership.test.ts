import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createMembership } from "../../../../src/swarm/members/membership.ts";
import { heartbeat } from "../../../../src/sim/large/run.ts";

const PERIOD = 1000;

test("a peer is live until its liveness timeout, and gone after", () => {
  const membership = createMembership(PERIOD);
  assert.ok(membership.heard("a", heartbeat({ sequence: 1 }), 0));
  const timeout = membership.member("a")!.timeout;
  assert.deepEqual(
    membership.live(timeout).map((member) => member.peer),
    ["a"],
  );
  assert.deepEqual(membership.live(timeout + 1), []);
});

test("a replayed or older heartbeat neither counts nor prolongs", () => {
  const membership = createMembership(PERIOD);
  membership.heard("a", heartbeat({ sequence: 5 }), 0);
  assert.ok(!membership.heard("a", heartbeat({ sequence: 5 }), 900));
  assert.ok(!membership.heard("a", heartbeat({ sequence: 4 }), 900));
  assert.equal(membership.member("a")?.lastSeen, 0);
});

test("a goodbye ends a peer at once, and a later heartbeat brings it back", () => {
  const membership = createMembership(PERIOD);
  membership.heard("a", heartbeat({ sequence: 1, leaving: true }), 0);
  assert.deepEqual(membership.live(1), []);
  membership.heard("a", heartbeat({ sequence: 2 }), 10);
  assert.equal(membership.live(11).length, 1);
});

test("the timeout grows with the spread of arrivals, so a slow link is not taken for a dead peer", () => {
  const timeoutAfter = (arrivals: number[]): number => {
    const membership = createMembership(PERIOD);
    arrivals.forEach((at, index) => membership.heard("a", heartbeat({ sequence: index + 1 }), at));
    return membership.member("a")!.timeout;
  };
  const steady = timeoutAfter(Array.from({ length: 20 }, (_, i) => i * PERIOD));
  const jittery = timeoutAfter(Array.from({ length: 20 }, (_, i) => i * PERIOD + (i % 3) * 700));
  const slow = timeoutAfter(Array.from({ length: 20 }, (_, i) => i * 5 * PERIOD));
  assert.ok(jittery > steady, `${jittery} > ${steady}`);
  assert.ok(slow > 5 * PERIOD, `${slow}`);
});

test("a peer whose heartbeats come as late as they have always come stays live", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 500, max: 3000 }), { minLength: 40, maxLength: 60 }), (gaps) => {
      const membership = createMembership(PERIOD);
      let now = 0;
      gaps.forEach((gap, index) => membership.heard("a", heartbeat({ sequence: index + 1 }), (now += gap)));
      // Median and spread of the last 32 intervals, as hivemind#676 asks.
      const middleOf = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
      const recent = gaps.slice(-32);
      const middle = middleOf(recent);
      const spread = middleOf(recent.map((gap) => Math.abs(gap - middle)));
      assert.equal(membership.member("a")!.timeout, 2 * PERIOD + Math.max(middle, PERIOD) + 8 * spread);
      assert.equal(membership.live(now + membership.member("a")!.timeout).length, 1);
    }),
  );
});

test("bursts out of turn never shorten the timeout below two periods", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 40 }), (gaps) => {
      const membership = createMembership(PERIOD);
      let now = 0;
      gaps.forEach((gap, index) => membership.heard("a", heartbeat({ sequence: index + 1 }), (now += gap)));
      assert.ok(membership.member("a")!.timeout >= 2 * PERIOD);
    }),
  );
});

test("who says that it speaks seldom is waited for as long, and who then speaks often no longer", () => {
  const membership = createMembership(PERIOD);
  membership.heard("a", heartbeat({ sequence: 1 }), 0, 50 * PERIOD);
  assert.equal(membership.live(200 * PERIOD).length, 1);
  assert.deepEqual(membership.live(201 * PERIOD), []);
  membership.heard("a", heartbeat({ sequence: 2 }), 201 * PERIOD, PERIOD);
  assert.equal(membership.member("a")!.timeout, 4 * PERIOD);
});

test("the living are those whose last word is young enough and no goodbye, whatever was heard in between", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          peer: fc.nat(5),
          wait: fc.nat(3000),
          does: fc.constantFrom("speak", "speak", "speak", "leave", "be forgotten"),
          role: fc.constantFrom("worker" as const, "observer" as const),
          period: fc.constantFrom(PERIOD, 4 * PERIOD),
          isAsked: fc.boolean(),
        }),
        { maxLength: 60 },
      ),
      (steps) => {
        const membership = createMembership(PERIOD);
        let now = 0;
        let before: { live: readonly unknown[]; roles: string[] } | undefined;
        for (const [index, { peer, wait, does, role, period, isAsked }] of steps.entries()) {
          now += wait;
          const leaving = does === "leave";
          if (does === "be forgotten") membership.forget(`peer-${peer}`);
          else
            membership.heard(`peer-${peer}`, heartbeat({ sequence: index + 1, leaving, role }), now, period);
          if (!isAsked) continue;
          const expected = Array.from({ length: 6 }, (_, i) => membership.member(`peer-${i}`)).filter(
            (m) => m !== undefined && !m.heartbeat.leaving && now - m.lastSeen <= m.timeout,
          );
          const live = membership.live(now);
          assert.deepEqual(live, expected);
          assert.equal(membership.live(now), live);
          const roles = live.map((member) => member.heartbeat.role);
          if (live === before?.live) assert.deepEqual(roles, before.roles, "another role is another list");
          before = { live, roles };
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("peers that are long gone are forgotten", () => {
  const membership = createMembership(PERIOD);
  membership.heard("a", heartbeat({ sequence: 1 }), 0);
  membership.prune(11 * membership.member("a")!.timeout);
  assert.equal(membership.member("a"), undefined);
});
