import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { OrphanPool } from "../../../src/outer/orphan-pool.ts";
import { cidOf, labels } from "./history.ts";

const item = (name: string) => ({ cid: cidOf(name), name });

describe("a pool of orphans", () => {
  it("gives back what waited for an arrival, once", () => {
    const pool = new OrphanPool<{ cid: ReturnType<typeof cidOf>; name: string }>(10);
    pool.add(item("a"), 1, cidOf("x"));
    pool.add(item("b"), 1, cidOf("y"));
    pool.add(item("c"), 1, cidOf("x"));
    assert.deepEqual(pool.missing().map(String), [cidOf("x"), cidOf("y")].map(String));
    assert.deepEqual(
      pool.take(cidOf("x")).map(({ name }) => name),
      ["a", "c"],
    );
    assert.deepEqual(pool.take(cidOf("x")), []);
    assert.deepEqual(pool.missing().map(String), [cidOf("y").toString()]);
  });

  it("an item waits for what it was last added with", () => {
    const pool = new OrphanPool(10);
    pool.add(item("a"), 1, cidOf("x"));
    pool.add(item("a"), 1, cidOf("y"));
    assert.deepEqual(pool.take(cidOf("x")), []);
    assert.equal(pool.take(cidOf("y")).length, 1);
  });

  it("never holds more than its capacity, forgetting the oldest first", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ name: fc.nat(20), size: fc.integer({ min: 1, max: 6 }), missing: fc.nat(3) })),
        (arrivals) => {
          const pool = new OrphanPool(12);
          const expected = new Map<string, { size: number; missing: string }>();
          for (const { name, size, missing } of arrivals) {
            pool.add(item(`${name}`), size, cidOf(`missing ${missing}`));
            const key = cidOf(`${name}`).toString();
            expected.delete(key);
            expected.set(key, { size, missing: cidOf(`missing ${missing}`).toString() });
            while ([...expected.values()].reduce((sum, orphan) => sum + orphan.size, 0) > 12)
              expected.delete(expected.keys().next().value!);
          }
          for (const missing of [0, 1, 2, 3]) {
            const cid = cidOf(`missing ${missing}`);
            const waiting = [...expected].filter(([, orphan]) => orphan.missing === cid.toString());
            assert.deepEqual(labels(pool.take(cid)).toSorted(), waiting.map(([key]) => key).toSorted());
          }
          assert.deepEqual(pool.missing(), []);
        },
      ),
    );
  });

  it("does not keep what is larger than everything it may hold, nor forget anything for it", () => {
    const pool = new OrphanPool(3);
    pool.add(item("small"), 1, cidOf("x"));
    pool.add(item("large"), 4, cidOf("x"));
    assert.deepEqual(
      pool.take(cidOf("x")).map(({ cid }) => cid.toString()),
      [cidOf("small").toString()],
    );
  });
});
