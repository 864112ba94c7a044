import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Parking } from "../../../src/outer/parking.ts";
import { cidOf, labels } from "./history.ts";

const item = (name: string) => ({ cid: cidOf(name), name });

describe("parking", () => {
  it("gives back what waited for an arrival, once", () => {
    const parking = new Parking<{ cid: ReturnType<typeof cidOf>; name: string }>(10);
    parking.park(item("a"), 1, cidOf("x"));
    parking.park(item("b"), 1, cidOf("y"));
    parking.park(item("c"), 1, cidOf("x"));
    assert.deepEqual(parking.missing().map(String), [cidOf("x"), cidOf("y")].map(String));
    assert.deepEqual(
      parking.take(cidOf("x")).map(({ name }) => name),
      ["a", "c"],
    );
    assert.deepEqual(parking.take(cidOf("x")), []);
    assert.deepEqual(parking.missing().map(String), [cidOf("y").toString()]);
  });

  it("an item waits for what it was last parked with", () => {
    const parking = new Parking(10);
    parking.park(item("a"), 1, cidOf("x"));
    parking.park(item("a"), 1, cidOf("y"));
    assert.deepEqual(parking.take(cidOf("x")), []);
    assert.equal(parking.take(cidOf("y")).length, 1);
  });

  it("never holds more than its capacity, forgetting the oldest first", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ name: fc.nat(20), size: fc.integer({ min: 1, max: 6 }), missing: fc.nat(3) })),
        (arrivals) => {
          const parking = new Parking(12);
          const expected = new Map<string, { size: number; missing: string }>();
          for (const { name, size, missing } of arrivals) {
            parking.park(item(`${name}`), size, cidOf(`missing ${missing}`));
            const key = cidOf(`${name}`).toString();
            expected.delete(key);
            expected.set(key, { size, missing: cidOf(`missing ${missing}`).toString() });
            while ([...expected.values()].reduce((sum, parked) => sum + parked.size, 0) > 12)
              expected.delete(expected.keys().next().value!);
          }
          for (const missing of [0, 1, 2, 3]) {
            const cid = cidOf(`missing ${missing}`);
            const waiting = [...expected].filter(([, parked]) => parked.missing === cid.toString());
            assert.deepEqual(labels(parking.take(cid)).toSorted(), waiting.map(([key]) => key).toSorted());
          }
          assert.deepEqual(parking.missing(), []);
        },
      ),
    );
  });

  it("does not keep what is larger than everything it may hold", () => {
    const parking = new Parking(3);
    parking.park(item("small"), 1, cidOf("x"));
    parking.park(item("large"), 4, cidOf("x"));
    assert.deepEqual(parking.take(cidOf("x")), []);
  });
});
