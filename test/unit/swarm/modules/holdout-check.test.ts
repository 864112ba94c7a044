import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger } from "../../../../src/log.ts";
import { Lineage } from "../../../../src/outer/lineage.ts";
import type { KnownContribution } from "../../../../src/outer/types.ts";
import { createHoldoutCheck, type HoldoutCheck } from "../../../../src/swarm/modules/holdout-check.ts";
import { basesOf, contribute, createInit, fold, genesisOf } from "../../outer/history.ts";
import { patient } from "../../../waits.ts";

const MODULES = ["lower/0", "upper/0"];
/** θ of the two modules of path 0. */
const THETA = new Map(MODULES.map((module, index) => [module, Float32Array.of(index, index + 0.5)]));
const DELTA = Float32Array.of(1, 2);
const signal = patient;

/** A check whose text has the loss that `loss` gives for whole paths. */
function open(loss: (path: Float32Array) => number, isTried = true) {
  const init = createInit();
  const config = { ...init.config, replicas: 1 };
  const lineages = new Map(
    MODULES.map((module) => [module, new Lineage({ ...init, config, module, genesis: genesisOf(module) })]),
  );
  const scored: number[][] = [];
  const check: HoldoutCheck = createHoldoutCheck({
    holdout: { tolerance: 0.25, sequences: 8 },
    isTried: () => isTried,
    topology: init.topology,
    lineage: (module) => lineages.get(module)!,
    parameters: async ({ module }) => THETA.get(module)!,
    scorer: {
      async score(path, parameters) {
        assert.equal(path, 0);
        scored.push([...parameters]);
        return loss(parameters);
      },
      close: async () => {},
    },
    logger: silentLogger,
  });
  const contribution = (module: string, parts: Partial<KnownContribution> = {}): KnownContribution =>
    contribute(genesisOf(module).cid, { module, ...parts });
  return { check, scored, lineages, contribution };
}

test("a contribution is tried with its own module changed and the others as its path found them", async () => {
  const { check, scored, contribution } = open(() => 1);
  await check(contribution("upper/0"), DELTA, signal);
  assert.deepEqual(scored, [
    [0, 0.5, 1, 1.5],
    [0, 0.5, 0, -0.5],
  ]);
  await check(contribution("lower/0"), DELTA, signal);
  assert.deepEqual(scored[2], [-1, -1.5, 1, 1.5], "the start is scored once for a path");
});

for (const [name, after, passes] of [
  ["a loss that falls", 0.5, true],
  ["a loss that rises within the tolerance", 1.25, true],
  ["a loss that rises further", 1.2501, false],
  ["a loss that is no number", Number.NaN, false],
  ["an infinite loss", Number.POSITIVE_INFINITY, false],
] as const)
  test(`${name} ${passes ? "passes" : "is refused, each time without scoring again"}`, async () => {
    let calls = 0;
    const { check, contribution } = open(() => (calls++ === 0 ? 1 : after));
    for (let times = 0; times < 2; times++) {
      const checking = check(contribution("lower/0"), DELTA, signal);
      if (passes) await checking;
      else await assert.rejects(checking, { name: "InvalidObjectError", message: /held-out text of path 0/ });
    }
    assert.equal(calls, 2);
  });

test("what started from a version that is not here waits for it, and is tried when it is", async () => {
  const { check, lineages, contribution } = open(() => 1);
  const lineage = lineages.get("upper/0")!;
  const first = contribute(genesisOf("upper/0").cid, { module: "upper/0" });
  const version = fold(genesisOf("upper/0"), [first]);
  const late = contribution("lower/0", { bases: basesOf("upper/0", 0, version.cid) });
  await assert.rejects(check(late, DELTA, signal), { name: "UnavailableError", message: /of upper\/0/ });
  lineage.addContribution(first);
  lineage.addVersion(version);
  await check(late, DELTA, signal);
});

test("what started from a version that does not follow is refused", async () => {
  const { check, lineages, contribution } = open(() => 1);
  const lineage = lineages.get("upper/0")!;
  const first = contribute(genesisOf("upper/0").cid, { module: "upper/0" });
  const version = fold(genesisOf("upper/0"), [first]);
  lineage.addContribution(first);
  lineage.addVersion(version);
  lineage.refuse(version.cid, "it does not follow");
  const misled = contribution("lower/0", { bases: basesOf("upper/0", 0, version.cid) });
  await assert.rejects(check(misled, DELTA, signal), {
    name: "InvalidObjectError",
    message: /does not follow/,
  });
});

test("contributions to modules where averages help are not tried", async () => {
  const { check, scored, contribution } = open(() => 1, false);
  await check(contribution("lower/0"), DELTA, signal);
  assert.deepEqual(scored, []);
});
