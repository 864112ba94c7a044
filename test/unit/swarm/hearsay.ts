/** Histories of what a peer hears, for tests of what it keeps of that. */
import fc from "fast-check";
import type { CID } from "multiformats/cid";
import { ROUTER } from "../../../src/objects/manifest.ts";
import { dagCborCid, rawBlock } from "../../../src/objects/object.ts";
import { Lineage } from "../../../src/outer/lineage.ts";
import type { KnownContribution, KnownVersion } from "../../../src/outer/types.ts";
import { createPlan } from "../../../src/plan/plan.ts";
import { createTopology } from "../../../src/run/topology.ts";
import { heartbeat, RUN } from "../../../src/sim/large/run.ts";
import { View } from "../../../src/swarm/plan/view.ts";
import { config } from "./fast-run.ts";

export const runConfig = config();
export const topology = createTopology(runConfig);
export const plan = createPlan({
  config: runConfig,
  topology,
  genesis: [{ module: ROUTER, version: genesisOf(ROUTER) }],
  shards: Array.from({ length: topology.paths }, () => ({ tokens: 0 })),
});
export const peers = Array.from({ length: 8 }, (_, index) => `peer-${index}`);

function genesisOf(module: string): CID {
  return dagCborCid(Buffer.from(module));
}

export function createLineages(): Map<string, Lineage> {
  return new Map(
    topology.moduleNames.map((module) => {
      const value = { module, generation: 0, parent: null, contributions: [], tokens: 0 };
      const cid = genesisOf(module);
      const genesis: KnownVersion = { ...value, state: { parameters: cid }, cid };
      return [module, new Lineage({ module, genesis, topology, config: runConfig, plan, runId: RUN })];
    }),
  );
}

export function contributionTo(
  lineage: Lineage,
  round: number,
  path: number,
  signer: string,
  modules: readonly string[] = topology.basesOfPath(path),
  router: CID = genesisOf(ROUTER),
): KnownContribution {
  const { innerSteps, batchSize } = runConfig.training;
  const identity = Buffer.from(JSON.stringify([lineage.module, round, path, signer]));
  return {
    run: RUN,
    module: lineage.module,
    bases: modules.map((module) => ({
      module,
      version: module === ROUTER ? router : lineage.head().cid,
    })),
    base: lineage.head().cid,
    work: "train",
    round,
    path,
    replica: 0,
    delta: rawBlock(identity).cid,
    tokens: innerSteps * batchSize * runConfig.model.sequenceLength,
    steps: innerSteps,
    loss: 1,
    cid: dagCborCid(identity),
    signer,
  };
}

export interface World {
  view: View;
  lineages: Map<string, Lineage>;
}

export type Step = { peer: number; wait: number } & (
  | { do: "wait" }
  | { do: "speak"; path: number | undefined; progress: number; leaving: boolean; period: number }
  | { do: "forget" }
  | { do: "complete"; path: number; round: number }
  | { do: "refuse"; path: number; round: number }
);

const place = { path: fc.nat(3), round: fc.nat(2) };
const who = { peer: fc.nat(peers.length - 1), wait: fc.integer({ min: 0, max: 20_000 }) };
export const steps: fc.Arbitrary<Step[]> = fc.array(
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

/** What is heard in a step, by one of several that hear the same. */
export function carryOut({ view, lineages }: World, step: Step, index: number, now: number): void {
  const peer = peers[step.peer]!;
  if (step.do === "forget") view.forget(peer, now);
  if (step.do === "speak") {
    const { path, progress, leaving, period } = step;
    const leases =
      path === undefined ? [] : [{ work: "train" as const, round: 0, path, replica: 0, progress }];
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

export function createWorld(): World {
  const lineages = createLineages();
  return { lineages, view: new View({ run: RUN, config: runConfig, topology, plan, lineages }) };
}
