/** What a view keeps from one question to the next must be what it would find out anew. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { dagCborCid, rawBlock } from "../../../src/objects/object.ts";
import { Lineage } from "../../../src/outer/lineage.ts";
import type { KnownContribution, KnownVersion } from "../../../src/outer/types.ts";
import { createTopology } from "../../../src/run/topology.ts";
import { heartbeat, RUN } from "../../../src/sim/run.ts";
import { ownersOf } from "../../../src/swarm/ownership.ts";
import { type Offer, View } from "../../../src/swarm/view.ts";
import { config } from "./fast-run.ts";

const runConfig = config();
const topology = createTopology(runConfig);
const peers = Array.from({ length: 8 }, (_, index) => `peer-${index}`);

function createLineages(): Map<string, Lineage> {
  return new Map(
    topology.modules.map(({ name: module }) => {
      const value = { module, generation: 0, parent: null, contributions: [], momentum: null, tokens: 0 };
      const cid = dagCborCid(Buffer.from(module));
      const genesis: KnownVersion = { ...value, parameters: cid, cid };
      return [module, new Lineage({ module, genesis, topology, config: runConfig, runId: RUN })];
    }),
  );
}

function contributionTo(lineage: Lineage, round: number, path: number, signer: string): KnownContribution {
  const { innerSteps, batchSize } = runConfig.training;
  const identity = Buffer.from(JSON.stringify([lineage.module, round, path, signer]));
  return {
    run: RUN,
    module: lineage.module,
    round,
    path,
    replica: 0,
    base: lineage.head().cid,
    delta: rawBlock(identity).cid,
    tokens: innerSteps * batchSize * runConfig.model.sequenceLength,
    steps: innerSteps,
    loss: 1,
    cid: dagCborCid(identity),
    signer,
  };
}

interface World {
  view: View;
  lineages: Map<string, Lineage>;
}

type Step = { peer: number; wait: number } & (
  | { do: "wait" }
  | { do: "speak"; path: number | undefined; progress: number; leaving: boolean; period: number }
  | { do: "forget" }
  | { do: "complete"; path: number; round: number }
  | { do: "refuse"; path: number; round: number }
);

const place = { path: fc.nat(3), round: fc.nat(2) };
const who = { peer: fc.nat(peers.length - 1), wait: fc.integer({ min: 0, max: 20_000 }) };
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant("speak" as const),
        ...who,
        wait: fc.nat(1500),
        path: fc.option(fc.nat(3), { nil: undefined }),
        progress: fc.double({ min: 0, max: 1, noNaN: true }),
        leaving: fc.constantFrom(false, false, false, true),
        period: fc.constantFrom(1, 2, 4),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("complete" as const), ...who, ...place }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("refuse" as const), ...who, ...place }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("forget" as const), ...who }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("wait" as const), ...who }) },
  ),
  { minLength: 5, maxLength: 80 },
);

function carryOut({ view, lineages }: World, step: Step, index: number, now: number): void {
  const peer = peers[step.peer]!;
  if (step.do === "forget") view.forget(peer, now);
  if (step.do === "speak") {
    const { path, progress, leaving, period } = step;
    const leases = path === undefined ? [] : [{ round: 0, path, replica: 0, progress }];
    view.heard(peer, heartbeat({ sequence: index + 1, leases, leaving, periodSeconds: period }), now);
  }
  if (step.do !== "complete" && step.do !== "refuse") return;
  for (const module of topology.modulesOfPath(step.path)) {
    const lineage = lineages.get(module)!;
    const contribution = contributionTo(lineage, step.round, step.path, peer);
    if (step.do === "refuse") lineage.refuse(contribution.cid, "test");
    else {
      lineage.addContribution(contribution);
      view.contributed(contribution);
    }
  }
}

function createWorld(): World {
  const lineages = createLineages();
  return { lineages, view: new View({ run: RUN, config: runConfig, topology, lineages }) };
}

/** Asks everybody's offers, some of whom discount what others signed. */
function offersOf({ view, lineages }: World, now: number): (readonly Offer[])[] {
  view.prune(now);
  return peers.map((peer, index) => {
    if (index % 2 === 0) return view.offers(peer, now);
    const foreign = [...lineages.values()]
      .flatMap((lineage) => lineage.pending())
      .filter(({ signer }) => signer === peers[index - 1]);
    const discount = new Map(foreign.map((contribution) => [contribution.cid.toString(), contribution]));
    return view.offers(peer, now, discount.size === 0 ? undefined : discount);
  });
}

test("offers are kept only while they would be found again", () => {
  fc.assert(
    fc.property(steps, (history) => {
      const [kept, anew] = [createWorld(), createWorld()];
      let now = 0;
      for (const [index, step] of history.entries()) {
        now += step.wait;
        for (const world of [kept, anew]) carryOut(world, step, index, now);
        // Who looks at the slots again must make the offers again.
        const [nothing] = createLineages().values();
        anew.view.contributed({ ...contributionTo(nothing!, 0, 0, "nobody"), round: -1 });
        assert.deepEqual(offersOf(kept, now), offersOf(anew, now));
      }
    }),
    { numRuns: 200 },
  );
});

test("duties follow from who is live, whoever came and went before", () => {
  fc.assert(
    fc.property(steps, (history) => {
      const { view, lineages } = createWorld();
      let now = 0;
      for (const [index, step] of history.entries()) {
        now += step.wait;
        carryOut({ view, lineages }, step, index, now);
        for (const self of [undefined, "stranger"]) {
          const workers = [...view.workers(now), ...(self === undefined ? [] : [self])];
          const { owners, owned } = view.duties(now, self);
          for (const { name } of topology.modules) {
            const expected = ownersOf(RUN.toString(), name, workers, runConfig.swarm.owners);
            assert.deepEqual(owners.get(name), expected);
          }
          for (const peer of workers) {
            const modules = topology.modules.map(({ name }) => name);
            const expected = modules.filter((name) => owners.get(name)!.includes(peer));
            assert.deepEqual(owned.get(peer) ?? [], expected);
          }
        }
      }
    }),
    { numRuns: 100 },
  );
});
