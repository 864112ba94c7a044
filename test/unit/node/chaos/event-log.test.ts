import assert from "node:assert/strict";
import { test } from "node:test";
import { agreementMs } from "../../../../node/chaos/agreement.ts";
import type { LoggedEvent, LoggedFault } from "../../../../node/chaos/event-log.ts";
import { updatesPerMinute } from "../../../../node/chaos/rate.ts";

const head = (at: number, peer: string, cid: string, module = "lower/0"): LoggedEvent => ({
  at,
  peer,
  event: { type: "head", module, generation: 1, cid },
});
const fault = (at: number, kind: LoggedFault, ...peers: string[]): LoggedEvent => ({
  at,
  fault: { kind, peers },
});

test("agreement counts from the last fault's end to the first moment in which all heads are the same", () => {
  const events = [
    head(10, "a", "x"),
    head(20, "b", "x"),
    fault(100, "kill", "b"),
    head(150, "a", "y"),
    fault(200, "restart", "b"),
    head(210, "b", "x"),
    head(260, "b", "y"),
    head(300, "a", "z"),
  ];
  assert.equal(agreementMs(events, 2), 60);
  assert.equal(agreementMs(events.slice(0, 6), 2), undefined);
  assert.equal(agreementMs(events, 3), undefined, "a peer that never told its heads does not agree");
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
