import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { CID } from "multiformats/cid";
import { ROUTER } from "../../../src/objects/manifest.ts";
import { createPlan } from "../../../src/plan/plan.ts";
import { compareSlots, slotKey } from "../../../src/plan/slots.ts";
import type { Lane, Plan, Slot } from "../../../src/plan/types.ts";
import { createTopology } from "../../../src/run/topology.ts";
import { simulatedRun, type RunChanges } from "../../../src/sim/large/run.ts";
import { cidOf, createConfig, MODULE, ROUTED } from "../outer/history.ts";

function planOf(changes: RunChanges): Plan {
  const config = simulatedRun(changes);
  return createPlan({ config, topology: createTopology(config), ...ROUTED });
}

function slotsOf(plan: Plan, lane: Lane): Slot[] {
  const slots: Slot[] = [];
  for (let slot: Slot | undefined = plan.first(lane); slot !== undefined; slot = plan.after(slot))
    slots.push(slot);
  return slots;
}

const runs = fc.record({
  grid: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 }),
  rounds: fc.integer({ min: 1, max: 6 }),
  replicas: fc.integer({ min: 1, max: 3 }),
});

describe("the plan of a k-means run", () => {
  it("waits for the first round of every replica of every path, then for the next, until the last", () => {
    const config = createConfig();
    const plan = createPlan({ config, topology: createTopology(config), ...ROUTED });
    assert.deepEqual(plan.expected(MODULE, { generation: 0 }), [
      { work: "train", round: 0, path: 0, replica: 0 },
      { work: "train", round: 0, path: 0, replica: 1 },
      { work: "train", round: 0, path: 1, replica: 0 },
      { work: "train", round: 0, path: 1, replica: 1 },
    ]);
    assert.equal(plan.expected(MODULE, { generation: 49 }).length, 4);
    assert.deepEqual(plan.expected(MODULE, { generation: 50 }), []);
    assert.equal(plan.lastGeneration(MODULE), 50);
  });

  it("has no work for the router", () => {
    const plan = planOf({});
    assert.deepEqual(plan.lanesOf(ROUTER), []);
    assert.deepEqual(plan.expected(ROUTER, { generation: 0 }), []);
    assert.equal(plan.lastGeneration(ROUTER), 0);
  });

  it("lets a slot start from what all slots before it left", () => {
    const plan = planOf({ grid: [2, 2], rounds: 3 });
    const slot = { work: "train" as const, round: 2, path: 1, replica: 0 };
    assert.equal(plan.isReady(slot, "lower/0", { generation: 1 }), false);
    assert.equal(plan.isReady(slot, "lower/0", { generation: 2 }), true);
    assert.equal(plan.isReady(slot, "lower/0", { generation: 3 }), true);
  });

  it("weighs work by the tokens of its path's shard, as the router version has it that the work names", () => {
    const plan = planOf({ grid: [2] });
    const weightOf = (path: number, version: CID): number | undefined =>
      plan.weightOf({ path, bases: [{ module: ROUTER, version }] });
    const router = ROUTED.genesis[0]!.version;
    assert.deepEqual([weightOf(0, router), weightOf(1, router)], [1000, 3000]);
    assert.equal(weightOf(0, cidOf("another router")), undefined);
    assert.equal(plan.weightOf({ path: 0, bases: [] }), undefined);
  });

  it("has a place for each slot, once, and every module gets what its versions expect", () => {
    fc.assert(
      fc.property(runs, (changes) => {
        const plan = planOf(changes);
        const all = plan.lanes.flatMap((lane) => slotsOf(plan, lane));
        const paths = changes.grid.reduce((product, size) => product * size, 1);
        assert.equal(all.length, paths * changes.replicas * changes.rounds);
        assert.equal(new Set(all.map(slotKey)).size, all.length);
        assert.equal(new Set(plan.lanes.map(({ labels }) => labels.join("/"))).size, plan.lanes.length);

        const modules = new Set(plan.lanes.flatMap((lane) => lane.modules));
        for (const module of modules) {
          const expected: Slot[] = [];
          for (let generation = 0; generation < plan.lastGeneration(module); generation++) {
            const slots = plan.expected(module, { generation });
            assert.ok(slots.every((slot) => plan.isReady(slot, module, { generation })));
            expected.push(...slots);
          }
          assert.deepEqual(plan.expected(module, { generation: plan.lastGeneration(module) }), []);
          const through = plan.lanesOf(module).flatMap((lane) => slotsOf(plan, lane));
          assert.deepEqual(expected.map(slotKey), through.toSorted(compareSlots).map(slotKey));
          for (const slot of all)
            assert.equal(
              plan.objection(module, slot) === undefined,
              expected.some((other) => slotKey(other) === slotKey(slot)),
            );
        }
      }),
      { numRuns: 40 },
    );
  });

  it("goes through a lane in both directions, in the order of the run", () => {
    fc.assert(
      fc.property(runs, (changes) => {
        const plan = planOf(changes);
        for (const lane of plan.lanes) {
          const slots = slotsOf(plan, lane);
          assert.equal(plan.before(slots[0]!), undefined);
          assert.equal(plan.left(undefined), 0);
          for (const [index, slot] of slots.entries()) {
            assert.equal(plan.laneOf(slot), lane);
            assert.equal(plan.left(slot), slots.length - index);
            if (index === 0) continue;
            assert.deepEqual(plan.before(slot), slots[index - 1]);
            assert.ok(plan.order(slots[index - 1]!) < plan.order(slot));
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  it("says why there is no such slot", () => {
    const plan = planOf({ grid: [2, 2], rounds: 3, replicas: 2 });
    const slot = { work: "train" as const, round: 0, path: 0, replica: 0 };
    assert.equal(plan.objection(MODULE, slot), undefined);
    assert.equal(plan.objection(MODULE, { ...slot, path: 2 }), "path 2 does not pass through lower/0");
    assert.equal(plan.objection(MODULE, { ...slot, replica: 2 }), "replica 2 is not below 2");
    assert.equal(plan.objection(MODULE, { ...slot, round: 3 }), "round 3 is not below 3");
    for (const other of [{ path: 4 }, { path: -1 }, { replica: 2 }, { path: 0, replica: 8 }])
      assert.throws(() => plan.laneOf({ ...slot, ...other }), RangeError);
  });
});

it("the plan of a run whose method is not known here says so", () => {
  const config = simulatedRun({});
  const routing = { ...config.routing, method: "later" as typeof config.routing.method };
  assert.throws(
    () => createPlan({ config: { ...config, routing }, topology: createTopology(config), ...ROUTED }),
    { name: "InvalidObjectError", message: /routes by later, which this release/ },
  );
});
