/** Two implementations of one description: the auditor's outer update and the peer's give the same bits. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { outerUpdate } from "../../../src/audit/outer-update.ts";
import { createFold } from "../../../src/outer/fold.ts";
import { OUTER_OPTIMIZERS } from "../../../src/outer/optimizers.ts";
import { contribute, createConfig, GENESIS } from "../outer/history.ts";

const LENGTH = 7;
const vector = fc
  .array(fc.float({ min: -1000, max: 1000, noNaN: true }), { minLength: LENGTH, maxLength: LENGTH })
  .map((values) => Float32Array.from(values));
const outer = fc.record({
  learningRate: fc.double({ min: 0.01, max: 2, noNaN: true }),
  momentum: fc.double({ min: 0, max: 0.99, noNaN: true }),
  rescale: fc.constantFrom("sqrt" as const, "none" as const),
  reweigh: fc.boolean(),
  clipNorm: fc.option(fc.double({ min: 0.01, max: 100, noNaN: true })),
  clipMedian: fc.option(fc.double({ min: 1, max: 4, noNaN: true }), { nil: undefined }),
  robust: fc.constantFrom("none" as const, "trimmed-mean" as const, "centred-clipping" as const),
});
const work = fc.record({ path: fc.nat(3), round: fc.nat(9), replica: fc.nat(1), values: vector });

/** What a computation gives, or the name of what it throws. */
async function outcomeOf<T>(compute: () => T | Promise<T>): Promise<T | string> {
  try {
    return await compute();
  } catch (error) {
    return (error as Error).name;
  }
}

for (const [optimizer, { stateNames }] of Object.entries(OUTER_OPTIMIZERS))
  test(`the auditor and the peer compute the same outer update by ${optimizer}, bit for bit`, async () => {
    const shardTokens = (path: number): number => [1000, 3001, 0, 70_003][path]!;
    const weightOf = ({ path }: { path: number }): number => shardTokens(path);
    let moved = 0;
    await fc.assert(
      fc.asyncProperty(
        vector,
        fc.array(vector, { minLength: stateNames.length - 1, maxLength: stateNames.length - 1 }),
        fc.array(work, { minLength: 1, maxLength: 9 }),
        outer,
        async (parameters, kept, works, parts) => {
          const config = createConfig({ ...parts, optimizer }).outer;
          const deltas = new Map(
            works.map(({ values, ...task }, index) => [
              contribute(GENESIS.cid, { ...task, signer: String(index) }),
              values,
            ]),
          );
          const [, ...names] = stateNames;
          // A second moment is not below zero.
          const others = names.map((name, index) => [name, kept[index]!.map(Math.abs)] as const);
          const parent = { parameters, ...Object.fromEntries(others) };
          const fold = createFold({ parent, contributions: [...deltas.keys()], weightOf, outer: config });
          for (const contribution of fold.order) fold.add(deltas.get(contribution)!);
          const gradients = fold.order.map((contribution) => ({
            path: contribution.path,
            values: () => Promise.resolve(deltas.get(contribution)!),
          }));
          const mine = await outcomeOf(() => outerUpdate(parent, gradients, shardTokens, config));
          assert.deepEqual(mine, await outcomeOf(() => fold.finish()));
          if (typeof mine !== "string") moved++;
        },
      ),
      { numRuns: 500 },
    );
    assert.ok(moved > 400, `${moved} updates`);
  });

test("another order of the same contributions gives other bits, so the order is checked", async () => {
  const parent = { parameters: new Float32Array(1), momentum: new Float32Array(1) };
  const gradients = [1, 1e-8, 1e-8, 1e-8, 1e-8].map((value, path) => ({
    path,
    values: () => Promise.resolve(Float32Array.of(value)),
  }));
  const config = createConfig({ rescale: "none" }).outer;
  const [one, other] = [gradients, gradients.toReversed()].map((each) =>
    outerUpdate(parent, each, () => 1, config),
  );
  assert.notDeepEqual(await one, await other);
});
