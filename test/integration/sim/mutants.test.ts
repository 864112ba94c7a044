/** Bugs that there were are found by the simulation, by the seed that found each first in `npm run mutants`. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { breaches, WORLD_MUTANTS } from "../../model/mutants.ts";

describe("the simulation finds", () => {
  for (const mutant of WORLD_MUTANTS.filter((each) => each.seed !== undefined))
    it(`${mutant.name}, in seed ${mutant.seed}, and nothing without it`, async (test) => {
      const seed = String(mutant.seed);
      const found = await breaches(mutant, seed);
      test.diagnostic(found.join("; "));
      assert.notDeepEqual(found, []);
      assert.deepEqual(await breaches({ ...mutant, edits: [] }, seed), []);
    });
});
