import assert from "node:assert/strict";
import { test } from "node:test";
import { hasDiverged } from "../../../src/create/tune.ts";

const guess = Math.log(512);

test("a loss far above a guess counts as diverged once it lasts", () => {
  assert.equal(hasDiverged(Array(9).fill(guess + 5), { vocabulary: 512 }), false, "too few steps to tell");
  assert.equal(hasDiverged(Array(10).fill(guess + 5), { vocabulary: 512 }), true);
  assert.equal(hasDiverged([...Array(90).fill(3), ...Array(10).fill(guess + 2)], { vocabulary: 512 }), true);
});

test("a guess, and a single high loss, is no divergence", () => {
  assert.equal(hasDiverged(Array(50).fill(guess), { vocabulary: 512 }), false);
  assert.equal(hasDiverged([...Array(49).fill(4), guess + 9], { vocabulary: 512 }), false);
});
