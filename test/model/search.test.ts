/** Every state of small swarms keeps the contract, and the search that says so finds planted bugs. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { FLAWS, plainRules } from "./plain.ts";
import { PRODUCTION } from "./rules.ts";
import { type Bounds, search } from "./search.ts";

const BOUNDS: Bounds = {
  peers: ["ann", "bob", "cat"],
  trainers: ["ann", "bob"],
  owners: ["ann", "bob"],
  modules: ["lower/0"],
  generations: 3,
  trainings: 3,
  versions: 3,
  faults: 0,
  maxStaleness: 1,
};

const INSTANCES: [string, Bounds, (keyof ReturnType<typeof search>["seen"])[]][] = [
  ["three generations of a module", BOUNDS, ["forks", "late", "stale", "orphaned"]],
  [
    "a restart or a lost disk at any moment",
    { ...BOUNDS, trainings: 2, versions: 2, faults: 1 },
    ["forks", "late", "repeated", "orphaned"],
  ],
  [
    "two modules that are trained together",
    { ...BOUNDS, owners: ["ann"], modules: ["lower/0", "upper/0"], trainings: 2, versions: 1 },
    ["late", "orphaned"],
  ],
];

function tell(test: TestContext, result: ReturnType<typeof search>): void {
  const { states, transitions, replicas, seen, violation } = result;
  const met = Object.entries(seen).map(([name, count]) => `${count} ${name}`);
  test.diagnostic(`${states} states, ${transitions} transitions, ${replicas} replicas (${met.join(", ")})`);
  if (violation === undefined) return;
  for (const [index, step] of violation.trace.entries()) test.diagnostic(`  ${index + 1}. ${step}`);
  test.diagnostic(`  then: ${violation.what}`);
}

describe("every state of a small swarm keeps the contract, and is as the plain rules have it", () => {
  for (const [name, bounds, expected] of INSTANCES)
    it(name, (test) => {
      const result = search(PRODUCTION, bounds, plainRules());
      tell(test, result);
      assert.equal(result.violation, undefined);
      for (const what of expected) assert.ok(result.seen[what] > 0, `the search meets ${what}`);
    });
});

describe("the search finds", () => {
  const expected = {
    "a fold in arrival order": /gave two versions/,
    "a double fold": /folded twice/,
    "a head outside the lineage": /does not descend from genesis/,
    "an ignored late contribution": /neither folded nor pending nor rejected/,
    "a head by arrival": /the heads are .* after all was exchanged/,
  };
  for (const flaw of FLAWS)
    it(flaw, (test) => {
      // Only a peer that lost its disk has a reason to publish weights of its own.
      const faults = flaw === "a head outside the lineage" ? 1 : 0;
      const result = search(plainRules(flaw), { ...BOUNDS, faults });
      tell(test, result);
      assert.match(result.violation?.what ?? "nothing", expected[flaw]);
    });
});
