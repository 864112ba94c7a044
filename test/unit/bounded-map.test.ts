import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { boundedMap } from "../../src/bounded-map.ts";

test("a full map forgets what was used longest ago, and nothing else", () => {
  const action = fc.record({ key: fc.integer({ min: 0, max: 9 }), reads: fc.boolean() });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.array(action, { maxLength: 60 }), (max, actions) => {
      const map = boundedMap<number, number>(max);
      let expected: { key: number; value: number }[] = [];
      for (const [value, { key, reads }] of actions.entries()) {
        const known = expected.find((entry) => entry.key === key);
        if (reads) assert.equal(map.get(key), known?.value);
        else map.set(key, value);
        if (reads && known === undefined) continue;
        const entry = reads ? known! : { key, value };
        expected = [...expected.filter((other) => other !== known), entry].slice(-max);
        assert.deepEqual(
          [...map].toReversed(),
          expected.map((other) => [other.key, other.value]),
        );
      }
    }),
  );
});

test("to look without use, and to ask whether a key is there, keep nothing", () => {
  const map = boundedMap<string, number>(2);
  map.set("a", 1).set("b", 2);
  assert.equal(map.peek("a"), 1);
  assert.ok(map.has("a"));
  map.set("c", 3);
  assert.deepEqual([...map.rkeys()], ["b", "c"]);
});
