import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { apply, difference } from "../../../../src/swarm/members/difference.ts";

const itself = (item: string): string => item;
const sorted = fc.uniqueArray(fc.string({ maxLength: 2 })).map((items) => items.toSorted());

test("what has gone is in the first list alone, what has come in the second", () => {
  fc.assert(
    fc.property(sorted, sorted, (before, after) => {
      const [gone, come] = [
        before.filter((item) => !after.includes(item)),
        after.filter((item) => !before.includes(item)),
      ];
      assert.deepEqual(difference(before, after, itself), { gone, come });
      assert.deepEqual(apply(before, { gone, come }, itself), after);
    }),
  );
});

test("a list that loses and gains a few tells them", () => {
  const before = ["a", "b", "d", "e", "f"];
  assert.deepEqual(difference(before, ["a", "b", "c", "e", "f"], itself), { gone: ["d"], come: ["c"] });
  assert.deepEqual(difference(before, before, itself), { gone: [], come: [] });
});
