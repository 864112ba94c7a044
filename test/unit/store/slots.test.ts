import assert from "node:assert/strict";
import { test } from "node:test";
import { createSlots } from "../../../src/store/slots.ts";

test("at most the limit runs under one name, in order, and names do not wait for each other", async () => {
  const slots = createSlots(2);
  const order: string[] = [];
  const first = await slots.acquire("a");
  const second = await slots.acquire("a");
  const waiting = ["third", "fourth"].map(async (name) => {
    const release = await slots.acquire("a");
    order.push(name);
    return release;
  });
  (await slots.acquire("b"))();
  assert.deepEqual(order, []);
  first();
  const third = await waiting[0]!;
  assert.deepEqual(order, ["third"]);
  third();
  (await waiting[1]!)();
  second();
  // All slots are free again.
  const again = await Promise.all([slots.acquire("a"), slots.acquire("a")]);
  for (const release of again) release();
});
