/** What the auditor reads off the manifest for itself is what the peers read off it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { inFoldOrder, meetsRules, pathsByModule } from "../../../src/audit/rules.ts";
import { runConfigSchema } from "../../../src/objects/config.ts";
import { compareContributions } from "../../../src/outer/order.ts";
import { checkContribution } from "../../../src/outer/rules.ts";
import { createTopology } from "../../../src/run/topology.ts";
import { cidOf, contribute, createInit, GENESIS, ROUTED, RUN_ID } from "../outer/history.ts";

test("the same paths lead through the same modules", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }), (grid) => {
      const config = runConfigSchema.parse({
        name: "test",
        grid,
        model: { blocks: grid.length },
        levels: [
          { name: "in", parts: ["embedding"], choose: "shared" },
          ...grid.map((_, axis) => ({ name: `axis-${axis}`, parts: [`block ${axis}`], choose: axis })),
          { name: "out", parts: ["head"], choose: "path" },
        ],
      });
      const topology = createTopology(config);
      assert.deepEqual(
        [...pathsByModule(config)],
        topology.moduleNames.map((name) => [name, topology.pathsOfModule(name)]),
      );
    }),
  );
});

test("the same contributions may be folded, in the same order", () => {
  const init = createInit();
  const paths = pathsByModule(init.config);
  const contribution = fc
    .record({
      module: fc.constantFrom("lower/0", "lower/1", "none"),
      run: fc.constantFrom(RUN_ID, cidOf("another run")),
      round: fc.integer({ min: 48, max: 51 }),
      path: fc.nat(4),
      replica: fc.nat(3),
      steps: fc.nat(5),
      surplus: fc.constantFrom(0, 0, 0, 1),
      router: fc.constantFrom(undefined, undefined, undefined, cidOf("another router")),
    })
    .map(({ surplus, router, ...parts }) => {
      const made = contribute(GENESIS.cid, parts);
      const bases = [
        ...made.bases.slice(0, -1),
        { ...made.bases.at(-1)!, ...(router && { version: router }) },
      ];
      return { ...made, bases, tokens: made.tokens + surplus };
    });
  fc.assert(
    fc.property(contribution, contribution, (one, other) => {
      const isRefused = (): void => {
        if (one.module !== init.module) throw new Error("of another module");
        checkContribution(one, init);
      };
      if (
        meetsRules(one, RUN_ID.toString(), init.config, paths, ROUTED.genesis[0]!.version) &&
        one.module === init.module
      )
        assert.doesNotThrow(isRefused);
      else assert.throws(isRefused);
      assert.equal(Math.sign(inFoldOrder(one, other)), Math.sign(compareContributions(one, other)));
    }),
    { numRuns: 1000 },
  );
});
