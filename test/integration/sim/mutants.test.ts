/** Bugs that there were are found by the simulation, by the seed that found each first in `npm run mutants`. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { live } from "../../../src/sim/world/world.ts";
import { liveTwice } from "../../../src/sim/world/twice.ts";
import { breaches, WORLD_MUTANTS } from "../../model/mutants.ts";

describe("the simulation finds", () => {
  for (const mutant of WORLD_MUTANTS)
    it(`${mutant.name}, in seed ${mutant.seed}`, async (test) => {
      const found = await breaches(mutant, String(mutant.seed));
      test.diagnostic(found.join("; "));
      assert.notDeepEqual(found, []);
    });

  for (const seed of new Set(WORLD_MUTANTS.map((mutant) => mutant.seed)))
    it(`nothing in the source as it is, in seed ${seed}`, async () => {
      const twice = WORLD_MUTANTS.some((mutant) => mutant.seed === seed && mutant.twice === true);
      const { broken } = await (twice ? liveTwice : live)({ seed });
      assert.deepEqual(broken, []);
    });
});
