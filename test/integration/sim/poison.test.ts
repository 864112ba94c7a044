/** No part of a swarm, and no library that it uses, keeps time or throws dice of its own: what does is found here. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { test } from "node:test";
import { usesOfTheRealWorld } from "./poison.ts";

const { live } = await import("../../../src/sim/world/world.ts");

/** Where a secret is multiplied, random numbers hide it from who measures; the product does not depend on them. */
const BLINDING = "ScalarMultiplier.mulCTBlinded";

test("a world of real swarms asks no clock and throws no die of the machine", async () => {
  const uses = await usesOfTheRealWorld(() => live({ seed: 7 }));
  assert.deepEqual([...new Set(uses.filter((use) => !use.includes(BLINDING)))], []);
});

for (const [what, use] of [
  ["Date.now", () => Date.now()],
  ["performance.now", () => performance.now()],
  ["Math.random", () => Math.random()],
  ["setTimeout", () => clearTimeout(setTimeout(() => {}, 1))],
  ["setInterval", () => clearInterval(setInterval(() => {}, 1))],
  ["AbortSignal.timeout", () => AbortSignal.timeout(1)],
  ["timers/promises setTimeout", () => delay(0)],
  ["crypto.randomUUID", () => crypto.randomUUID()],
] as const)
  test(`${what} would be found, with who used it`, async () => {
    const uses = await usesOfTheRealWorld(async () => use());
    assert.equal(uses.length, 1);
    assert.ok(uses[0]!.startsWith(`${what} `), uses[0]);
    assert.match(uses[0]!, /poison\.test\.ts/);
  });
