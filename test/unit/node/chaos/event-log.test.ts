import assert from "node:assert/strict";
import { test } from "node:test";
import { agreement, agreementLimitMs } from "../../../../node/chaos/agreement.ts";
import type { LoggedEvent, LoggedFault } from "../../../../node/chaos/event-log.ts";
import { updatesPerMinute } from "../../../../node/chaos/rate.ts";
import { yardstick } from "../../../../node/chaos/settling.ts";
import { TICK_MS } from "../../../../src/swarm/plan/leases.ts";

const head = (at: number, peer: string, cid: string, module = "lower/0"): LoggedEvent => ({
  at,
  peer,
  event: { type: "head", module, generation: 1, cid },
});
const fault = (at: number, kind: LoggedFault, ...peers: string[]): LoggedEvent => ({
  at,
  fault: { kind, peers },
});

const version = (at: number, peer: string, cid: string): LoggedEvent => ({
  at,
  peer,
  event: {
    type: "version",
    module: "lower/0",
    generation: 1,
    cid,
    contributions: 1,
    how: "folded",
    milliseconds: 1,
  },
});
const agreementMs = (events: readonly LoggedEvent[], peers: number) => agreement(events, peers).milliseconds;

test("agreement counts from the last fault's end to the moment from which on all heads are the same", () => {
  const events = [
    head(10, "a", "x"),
    head(20, "b", "x"),
    fault(100, "kill", "b"),
    head(150, "a", "y"),
    fault(200, "restart", "b"),
    head(210, "b", "x"),
    head(260, "b", "y"),
  ];
  assert.equal(agreementMs(events, 2), 60);
  assert.equal(agreementMs(events.slice(0, 6), 2), undefined);
  assert.equal(agreementMs(events, 3), undefined, "a peer that never told its heads does not agree");
  const parted = [...events, head(300, "a", "z")];
  assert.equal(agreementMs(parted, 2), undefined, "a moment is no agreement");
  assert.equal(agreementMs([...parted, head(900, "a", "y")], 2), 700);
  assert.equal(agreementMs([...events, head(300, "b", "y")], 2), 60, "what is said again parts nobody");
});

test("what is made after the last fault is news", () => {
  const events = [
    fault(100, "slow", "b"),
    fault(200, "fast", "b"),
    head(210, "a", "x"),
    head(220, "b", "x"),
    version(500, "a", "y"),
    head(510, "a", "y"),
    version(540, "b", "y"),
    head(550, "b", "y"),
  ];
  assert.equal(agreementMs(events, 2), 50, "and is so when the first peer has it");
});

test("agreement that a fault did not touch takes no time", () => {
  const events = [head(10, "a", "x"), head(20, "b", "x"), fault(100, "slow", "b"), fault(200, "fast", "b")];
  assert.equal(agreementMs(events, 2), 0);
});

test("the heads of a wiped disk do not count", () => {
  const events = [
    head(10, "a", "x"),
    head(20, "b", "x"),
    fault(100, "wipe", "b"),
    fault(200, "restart", "b"),
    head(230, "b", "g"),
    head(250, "b", "x"),
  ];
  assert.equal(agreementMs(events, 2), 50);
});

const exchange = (from: number, to: number, peer: string): LoggedEvent => ({
  at: to,
  peer,
  event: { type: "exchange", peer: "x", records: 1, milliseconds: to - from },
});

test("three periods last as long as the exchanges that are under way when they end, and no longer", () => {
  const start = [head(10, "b", "x"), head(20, "a", "x"), fault(1000, "restart", "b")];
  const limit = (...exchanges: LoggedEvent[]): number =>
    agreementLimitMs([...start, ...exchanges, head(9000, "b", "y"), head(9010, "a", "y")], 2, 300);
  assert.equal(limit(), 900);
  assert.equal(limit(exchange(500, 900, "a"), exchange(1010, 1290, "a")), 900, "it ended within its period");
  assert.equal(limit(exchange(1100, 1500, "a")), 500 + 600, "the first period lasts 500 ms");
  assert.equal(limit(exchange(1850, 2400, "a")), 1400);
  assert.equal(limit(exchange(1950, 2400, "a")), 900, "it began when they were over");
  const chain = Array.from({ length: 40 }, (_, index) => exchange(1250 + 90 * index, 1350 + 90 * index, "a"));
  assert.ok(limit(...chain) <= 900 + 3 * 100, "each period waits for one exchange, not for those after it");
});

test("the periods are those of the peer that was the last to agree, or to tell its heads", () => {
  const slow = exchange(1100, 60_000, "b");
  const start = [head(10, "a", "x"), head(20, "b", "z"), fault(1000, "restart", "b")];
  const limit = (...events: LoggedEvent[]): number => agreementLimitMs([...start, ...events], 2, 300);
  assert.equal(limit(head(1400, "a", "z"), slow), 900, "another's exchange");
  assert.equal(limit(slow, head(61_000, "b", "x")), 59_600);
  assert.equal(limit(slow, head(61_000, "a", "w")), 900, "they never agreed");
});

test("the clocks of peers are measured by the time from a claim to the tick that may start it", () => {
  const lease = (at: number, peer: string, state: "claimed" | "started" | "abandoned"): LoggedEvent => ({
    at,
    peer,
    event: { type: "lease", state, work: "train", round: 0, path: 0, replica: 0 },
  });
  const settleMs = 300;
  const whole = settleMs + TICK_MS;
  const usual = (...events: LoggedEvent[]): number => yardstick(events, settleMs).usual;
  assert.equal(usual(), 1);
  assert.equal(usual(lease(0, "a", "claimed"), lease(200, "a", "started")), 1);
  assert.equal(usual(lease(0, "a", "claimed"), lease(whole, "a", "started")), 1);
  const events = [
    lease(0, "a", "claimed"),
    lease(10, "b", "claimed"),
    lease(20, "c", "claimed"),
    lease(whole + 30, "a", "started"),
    lease(whole + 40, "c", "abandoned"),
    lease(2 * whole + 10, "b", "started"),
    lease(9000, "c", "started"),
  ];
  assert.equal(usual(...events), 2);

  const later = [lease(10_000, "a", "claimed"), lease(10_000 + 5 * whole, "a", "started")];
  const clocks = yardstick([...events, ...later], settleMs);
  assert.equal(clocks.usual, 2);
  assert.equal(clocks.between(0, 9_999), 2);
  assert.equal(clocks.between(10_500, 10_600), 5, "of the same moment");
  const held = [later[0]!, fault(10_100, "pause", "a"), fault(10_200, "resume", "a"), later[1]!];
  assert.equal(yardstick(held, settleMs).between(0, 20_000), 1, "a paused peer tells nothing of the machine");
});

test("an outer update counts once, when the first peer has it", () => {
  const events = [
    head(0, "a", "g"),
    head(100, "a", "x"),
    head(900, "b", "x"),
    head(950, "b", "y"),
    head(1000, "b", "z"),
  ];
  assert.equal(updatesPerMinute(events, 50, 1000), (2 * 60_000) / 950);
});
