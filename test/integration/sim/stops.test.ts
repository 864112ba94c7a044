/** A peer that loses its power at some operations of a short run; `npm run simulate -- --stops` looks at all of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { countOperations, stopAt } from "../../../src/sim/world/stops.ts";

const SEED = 1;
const STRIDE = 211;

test("a peer that loses its power at any operation goes on, and nothing is lost, forgotten or done twice", async () => {
  const operations = await countOperations(SEED);
  assert.ok(operations > 3000, `${operations} operations`);
  for (let at = 0; at < operations; at += STRIDE) {
    const { operation, outcome } = await stopAt(at, { seed: SEED });
    assert.ok(operation, `operation ${at} of ${operations}`);
    assert.deepEqual(outcome.broken, [], `stopped at ${at}: ${operation}`);
  }
});
