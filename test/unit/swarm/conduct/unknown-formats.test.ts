import assert from "node:assert/strict";
import { test } from "node:test";
import { createUnknownFormats } from "../../../../src/swarm/conduct/unknown-formats.ts";

test("each peer is told of once, and counted", () => {
  const unknown = createUnknownFormats();
  assert.equal(unknown.note("ann", "format 3"), true);
  assert.equal(unknown.note("ann", "format 4"), false);
  assert.equal(unknown.note("bob", "format 3"), true);
  assert.deepEqual(unknown.all(), [
    { peer: "ann", count: 2, reason: "format 4" },
    { peer: "bob", count: 1, reason: "format 3" },
  ]);
});

test("a flood of identities is not remembered", () => {
  const unknown = createUnknownFormats();
  for (let i = 0; i < 1000; i++) unknown.note(`sybil-${i}`, "format 3");
  assert.equal(unknown.all().length, 64);
  assert.equal(unknown.note("late", "format 3"), false);
});
