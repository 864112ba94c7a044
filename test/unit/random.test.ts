import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createRandom, hash64 } from "../../src/random.ts";

const label = fc.oneof(fc.string(), fc.integer());

describe("hash64", () => {
  it("has golden values, which rendezvous hashing depends on", () => {
    assert.equal(hash64("run", "lower/0").toString(16), "df083dbd08b041e");
    assert.equal(hash64().toString(16), "4f53cda18c2baa0c");
  });

  it("tells labels apart by their boundaries and types", () => {
    assert.notEqual(hash64("ab", "c"), hash64("a", "bc"));
    assert.notEqual(hash64("1"), hash64(1));
    assert.notEqual(hash64("a"), hash64("a", ""));
  });

  it("is an unsigned 64-bit number", () => {
    fc.assert(
      fc.property(fc.array(label), (labels) => {
        const hash = hash64(...labels);
        assert.ok(hash >= 0n && hash < 2n ** 64n);
      }),
    );
  });
});

describe("a random stream", () => {
  it("has golden values, so that all peers draw the same", () => {
    const random = createRandom(7, "golden");
    assert.deepEqual(
      [random.uniform(), random.uniform(), random.integer(1000), random.integer(1000)],
      [0.5497725470703151, 0.6864392014792915, 667, 532],
    );
    assert.deepEqual(createRandom(7, "golden").shuffle([0, 1, 2, 3, 4, 5, 6, 7]), [5, 0, 3, 1, 2, 6, 7, 4]);
  });

  it("depends on all of its labels", () => {
    const draws = [[], [0], ["0"], [0, 0], [1], ["a", 1], ["a1"]].map((labels) =>
      createRandom(...labels).uniform(),
    );
    assert.equal(new Set(draws).size, draws.length);
  });

  it("stays within its bounds", () => {
    fc.assert(
      fc.property(label, fc.integer({ min: 1, max: 2 ** 31 }), (seed, bound) => {
        const random = createRandom(seed);
        for (let i = 0; i < 20; i++) {
          const uniform = random.uniform();
          assert.ok(uniform >= 0 && uniform < 1);
          const integer = random.integer(bound);
          assert.ok(Number.isInteger(integer) && integer >= 0 && integer < bound);
          assert.ok(Number.isFinite(random.normal()));
        }
      }),
    );
  });

  it("shuffles in place to a permutation, and every order of three comes up", () => {
    fc.assert(
      fc.property(label, fc.array(fc.nat()), (seed, items) => {
        const shuffled = [...items];
        assert.equal(createRandom(seed).shuffle(shuffled), shuffled);
        assert.deepEqual(
          shuffled.toSorted((a, b) => a - b),
          items.toSorted((a, b) => a - b),
        );
      }),
    );
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 6000; seed++) {
      const order = createRandom(seed).shuffle(["a", "b", "c"]).join("");
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    assert.equal(counts.size, 6);
    for (const count of counts.values()) assert.ok(Math.abs(count - 1000) < 150, `${count} of 6000`);
  });

  it("has the moments of its distributions", () => {
    const random = createRandom("moments");
    const draws = 20_000;
    let [uniform, first, second, third] = [0, 0, 0, 0];
    for (let i = 0; i < draws; i++) {
      uniform += random.uniform();
      const normal = random.normal();
      first += normal;
      second += normal ** 2;
      third += normal ** 3;
    }
    // Within five standard errors.
    assert.ok(Math.abs(uniform / draws - 0.5) < 5 * Math.sqrt(1 / 12 / draws));
    assert.ok(Math.abs(first / draws) < 5 / Math.sqrt(draws));
    assert.ok(Math.abs(second / draws - 1) < 5 * Math.sqrt(2 / draws));
    assert.ok(Math.abs(third / draws) < 5 * Math.sqrt(15 / draws));
  });
});
