import assert from "node:assert/strict";
import { test } from "node:test";
import { createSemaphores } from "../../../src/store/semaphores.ts";

test("at most the limit runs under one name, in order, and names do not wait for each other", async () => {
  const semaphores = createSemaphores(2);
  const order: string[] = [];
  const first = await semaphores.acquire("a");
  const second = await semaphores.acquire("a");
  const waiting = ["third", "fourth"].map(async (name) => {
    const release = await semaphores.acquire("a");
    order.push(name);
    return release;
  });
  (await semaphores.acquire("b"))();
  assert.deepEqual(order, []);
  first();
  const third = await waiting[0]!;
  assert.deepEqual(order, ["third"]);
  third();
  (await waiting[1]!)();
  second();
  // Everything is free again.
  const again = await Promise.all([semaphores.acquire("a"), semaphores.acquire("a")]);
  for (const release of again) release();
});
