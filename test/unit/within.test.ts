import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../src/clock.ts";
import { endsWithin } from "../../src/within.ts";

test("a task that ends in time did, and its failure is thrown", async () => {
  assert.equal(await endsWithin(60_000, Promise.resolve(7), systemClock), true);
  await assert.rejects(endsWithin(60_000, Promise.reject(new Error("no")), systemClock), /no/);
});

test("a task that takes too long is left behind, and so is its failure", async () => {
  const { promise, reject } = Promise.withResolvers<never>();
  assert.equal(await endsWithin(1, promise, systemClock), false);
  reject(new Error("late"));
  // An unhandled rejection would end the test.
  await new Promise((resolve) => setImmediate(resolve));
});
