/** When what a peer said against a contribution is not what the objects say. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { contradiction, REPEATED, stale } from "../../../src/audit/rejections.ts";

const DAMAGED = "its outer gradient was damaged on the only disk that had it";

test("a peer may give up what its disk lost once it has done the work again, whatever becomes of either", () => {
  assert.equal(contradiction(DAMAGED, [stale(4)], true), undefined);
  assert.equal(contradiction(DAMAGED, [], true), undefined);
  assert.match(contradiction(DAMAGED, [stale(4)], false)!, /where its objects say: over 4 generations old/);
});

test("any other reason has to be one of those that the objects give", () => {
  assert.equal(contradiction("3 generations old", [REPEATED, stale(2)], false), undefined);
  assert.match(
    contradiction("3 generations old", [REPEATED], true)!,
    /where its objects say: its peer already/,
  );
  assert.match(contradiction("It holds NaN.", [], true)!, /its objects give no such reason/);
});
