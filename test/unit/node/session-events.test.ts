import assert from "node:assert/strict";
import { test } from "node:test";
import { readEvent } from "../../../node/session-events.ts";

test("a line is an event, or nothing at all: its writer may have been killed within it", () => {
  const line = JSON.stringify({ type: "head", module: "lower/1", generation: 3, cid: "bafy" });
  assert.deepEqual(readEvent(line), { type: "head", module: "lower/1", generation: 3, cid: "bafy" });
  for (const other of ["", line.slice(0, -3), "null", "[]", "{}", '{"type":1}', "peer 12D3"])
    assert.equal(readEvent(other), undefined, other);
});
