/** Bugs that are planted in the production source are caught by required tests; `npm run mutants` shows by which. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { catchers, MUTANTS } from "./mutants.ts";

const FAST = ["test/unit/outer/fold.test.ts", "test/unit/outer/lineage.test.ts"];

describe("the unit tests catch", () => {
  for (const mutant of MUTANTS)
    it(mutant.name, async (test) => {
      const caught = await catchers(mutant, FAST);
      test.diagnostic(caught.join("; "));
      assert.notDeepEqual(caught, []);
    });

  it("nothing in the source as it is", async () => {
    assert.deepEqual(await catchers({ name: "no bug", edits: [] }, FAST), []);
  });

  it("a planted bug whose place is gone, before any test runs", async () => {
    const gone = { file: "src/outer/fold.ts", from: "no such text", to: "" };
    await assert.rejects(catchers({ name: "gone", edits: [gone] }, FAST), /has no "no such text"; plant/);
  });
});
