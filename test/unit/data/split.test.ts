import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { isHoldout, splitOf } from "../../../src/data/split.ts";

const FRACTIONS = { validationFraction: 0.05, routerFraction: 0.02 };
const ids = Array.from({ length: 20_000 }, (_, i) => `document ${i}`);

const validation = (seed: number): string[] =>
  ids.filter((id) => splitOf(id, seed, FRACTIONS) === "validation");

const numbers = (kept: (id: string) => boolean): number[] =>
  ids.slice(0, 300).flatMap((id, i) => (kept(id) ? [i] : []));

describe("splitting the corpus", () => {
  it("keeps the fractions", () => {
    const count = { train: 0, validation: 0, router: 0 };
    for (const id of ids) count[splitOf(id, 7, FRACTIONS)]++;
    assert.ok(Math.abs(count.validation / ids.length - 0.05) < 0.005, `${count.validation}`);
    assert.ok(Math.abs(count.router / ids.length - 0.02) < 0.004, `${count.router}`);
    const held = ids.filter((id) => isHoldout(id, 7, 0.02)).length;
    assert.ok(Math.abs(held / ids.length - 0.02) < 0.004, `${held}`);
  });

  it("depends on the id and the seed alone", () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.nat(),
        (id, seed) => splitOf(id, seed, FRACTIONS) === splitOf(id, seed, { ...FRACTIONS }),
      ),
    );
    assert.notDeepEqual(validation(1), validation(2));
  });

  it("is pinned, so that a run can be made again from its corpus", () => {
    assert.deepEqual(
      numbers((id) => splitOf(id, 0, FRACTIONS) === "validation"),
      PINNED_VALIDATION,
    );
    assert.deepEqual(
      numbers((id) => isHoldout(id, 0, 0.02)),
      PINNED_HOLDOUT,
    );
  });

  it("a larger validation share takes nothing from validation and the holdout ignores the split", () => {
    const small = ids.filter((id) => splitOf(id, 3, FRACTIONS) === "validation");
    for (const id of small)
      assert.equal(splitOf(id, 3, { ...FRACTIONS, validationFraction: 0.2 }), "validation");
    const held = ids.filter((id) => isHoldout(id, 3, 0.5));
    const both = held.filter(
      (id) => splitOf(id, 3, { ...FRACTIONS, validationFraction: 0.5 }) === "validation",
    );
    assert.ok(Math.abs(both.length / held.length - 0.5) < 0.02);
  });
});

const PINNED_VALIDATION = [
  15, 37, 76, 83, 101, 112, 153, 155, 173, 178, 179, 185, 186, 198, 205, 206, 219, 256, 271,
];
const PINNED_HOLDOUT = [48, 77, 291];
