/** A short budget of what `npm run fuzz` does at length, by count and not by time, with a fixed seed. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { InvalidObjectError } from "../../src/errors.ts";
import { fuzz, inputOf, tryInput } from "./fuzz.ts";
import { TARGETS } from "./targets.ts";

const INPUTS = 20_000;
const FOUND = new URL("../golden/fuzz/", import.meta.url);
const weights = TARGETS.reduce((sum, { weight }) => sum + weight, 0);

describe("hostile bytes are refused with the documented error or decoded", () => {
  for (const target of TARGETS)
    it(target.name, async (t) => {
      for (const valid of target.corpus)
        assert.deepEqual(await tryInput(target, valid), { accepted: true }, "the corpus is valid");
      const inputs = Math.ceil((INPUTS * target.weight) / weights);
      const { findings, accepted } = await fuzz(target, 0, 0, inputs);
      t.diagnostic(`${inputs} inputs, ${accepted} accepted`);
      assert.deepEqual(findings, []);
    });
});

describe("what fuzzing once found stays found", () => {
  for (const name of readdirSync(FOUND))
    it(name, async () => {
      const target = TARGETS.find((candidate) =>
        name.startsWith(`${candidate.name.replaceAll(/\W/g, "-")}.`),
      );
      assert.ok(target !== undefined);
      const { problem } = await tryInput(target, readFileSync(new URL(name, FOUND)));
      assert.equal(problem, undefined);
    });
});

it("the same seed gives the same inputs, and another seed others", () => {
  for (const target of TARGETS) {
    assert.deepEqual(inputOf(target, 1, 5), inputOf(target, 1, 5));
    const ofSeed = (seed: number): string[] =>
      Array.from({ length: 20 }, (_, i) => Buffer.from(inputOf(target, seed, i)).toString("hex"));
    assert.notDeepEqual(ofSeed(1), ofSeed(2));
  }
});

it("an undocumented error and an allocation over the cap would be noticed", async () => {
  const [first] = TARGETS;
  const planted = { ...first!, throws: [InvalidObjectError] };
  const typeError = await fuzz(
    { ...planted, decode: () => Reflect.get(undefined as unknown as object, "x") },
    0,
    0,
    3,
  );
  assert.equal(typeError.findings.length, 3);
  const large = await fuzz({ ...planted, decode: () => new Float64Array(1 << 24) }, 0, 0, 1);
  assert.match(large.findings[0]!.problem, /bytes of memory/);
});
