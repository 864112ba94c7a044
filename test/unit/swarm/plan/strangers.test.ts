/** What one coordinator does among strangers that talk but do not do what they say. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Decision } from "../../../../src/swarm/plan/coordinator.ts";
import { heartbeat } from "../../../../src/sim/large/run.ts";
import { Simulation } from "../../../../src/sim/large/simulation.ts";
import { config } from "../fast-run.ts";
import { ROUTER } from "../../../../src/objects/manifest.ts";
import { contributionTo } from "../hearsay.ts";

const GRACE_MS = 30_000;

/** A worker of a run of one path and one round, who hears what the test makes others say. */
function worker(owners: number) {
  const runConfig = config({ grid: [1], rounds: 1, swarm: { owners } });
  const [node] = new Simulation({ peers: 1, seed: 1, config: runConfig }).peers;
  const { coordinator } = node!;
  const router = node!.lineages.get(ROUTER)!.head().cid;
  const lineages = new Map([...node!.lineages].filter(([module]) => module !== ROUTER));
  return {
    coordinator,
    name: node!.name,
    modules: lineages.size,
    /** The signer announces the slot's contribution to every module; `here` says that this worker has the tensors. */
    contribute(signer: string, here: boolean): void {
      for (const lineage of lineages.values()) {
        const contribution = contributionTo(lineage, 0, 0, signer, [...node!.lineages.keys()], router);
        lineage.addContribution(contribution);
        coordinator.contributed(contribution);
        if (here) coordinator.available(contribution.module, contribution.cid);
      }
    },
    /** Decides every second while the strangers talk, until the time is over. */
    decide(strangers: string[], from: number, until: number): { at: number; decision: Decision }[] {
      const decisions = [];
      for (let now = from; now < until; now += 1000) {
        for (const peer of strangers) coordinator.heard(peer, heartbeat({ sequence: now + 1 }), now);
        for (const decision of coordinator.decide(now)) decisions.push({ at: now, decision });
      }
      return decisions;
    },
  };
}

test("a slot whose contribution is withheld by a peer that still talks is trained again", () => {
  const { coordinator, contribute, decide } = worker(2);
  coordinator.heard("eve", heartbeat({}), 0);
  contribute("eve", false);
  assert.deepEqual(decide(["eve"], 0, 5 * GRACE_MS), [], "a slow link is given time");
  const [first] = decide(["eve"], 5 * GRACE_MS, 7 * GRACE_MS);
  assert.deepEqual(first?.decision, {
    type: "claim",
    slot: { work: "train", round: 0, path: 0, replica: 0 },
  });
});

test("a contribution that is withheld delays no generation that has another one of the slot", () => {
  const { name, modules, contribute, decide } = worker(2);
  contribute("eve", false);
  contribute(name, true);
  const folds = decide(["eve"], 0, 10_000).filter(({ decision }) => decision.type === "fold");
  assert.equal(folds.length, modules);
});

test("strangers that own a module and never fold it delay it by a few turns, however many they are", () => {
  const strangers = Array.from({ length: 200 }, (_, index) => `stranger-${index}`);
  const { name, modules, contribute, decide } = worker(1);
  contribute(name, true);
  const folds = decide(strangers, 0, 60_000).filter(({ decision }) => decision.type === "fold");
  assert.equal(folds.length, modules);
  // One owner and four stand-ins, 2.5 s each.
  for (const { at } of folds) assert.ok(at <= 13_000, `it waited ${at} ms`);
});
