/** Makes small histories of one module for tests: runs, contributions and versions with real identities. */
import { createHash } from "node:crypto";
import type { CID } from "multiformats/cid";
import { type RunConfig, runConfigSchema } from "../../../src/objects/config.ts";
import type { Base } from "../../../src/objects/contribution.ts";
import { ROUTER } from "../../../src/objects/manifest.ts";
import { rawBlock } from "../../../src/objects/object.ts";
import { Version } from "../../../src/objects/version.ts";
import { Lineage } from "../../../src/outer/lineage.ts";
import { compareContributions } from "../../../src/outer/order.ts";
import type { KnownContribution, KnownVersion, LineageInit } from "../../../src/outer/types.ts";
import { createPlan } from "../../../src/plan/plan.ts";
import { createTopology } from "../../../src/run/topology.ts";

export const MODULE = "lower/0";
export const TOKENS_PER_STEP = 8;

export function cidOf(label: string): CID {
  return rawBlock(createHash("sha256").update(label).digest()).cid;
}

export const RUN_ID = cidOf("run");

/** Grid [2, 2]: paths 0 and 1 pass through `lower/0`. Two replicas, 1–4 steps a round, 50 rounds. */
export function createConfig(outer: Partial<RunConfig["outer"]> = {}): RunConfig {
  return runConfigSchema.parse({
    name: "test",
    grid: [2, 2],
    replicas: 2,
    levels: [
      { name: "lower", parts: ["embedding", "blocks 0-1"], choose: 0 },
      { name: "upper", parts: ["blocks 2-3", "head"], choose: 1 },
    ],
    model: { sequenceLength: 4 },
    training: { batchSize: 2, innerSteps: 4, rounds: 50 },
    outer: { maxStaleness: 2, ...outer },
  });
}

function identify(version: Version): KnownVersion {
  return { ...version, cid: Version.encode(version).cid };
}

export function genesisOf(module: string): KnownVersion {
  return identify({
    module,
    generation: 0,
    parent: null,
    contributions: [],
    state: { parameters: cidOf("genesis") },
    tokens: 0,
  });
}

export const GENESIS = genesisOf(MODULE);

/** The router's genesis, and one shard a path of grid [2, 2]. */
export const ROUTED = {
  genesis: [{ module: ROUTER, version: genesisOf(ROUTER).cid }],
  shards: [1000, 3000, 500, 70_000].map((tokens) => ({ tokens })),
};

export function createInit(outer: Partial<RunConfig["outer"]> = {}, module = MODULE): LineageInit {
  const config = createConfig(outer);
  const genesis = module === MODULE ? GENESIS : genesisOf(module);
  const topology = createTopology(config);
  const plan = createPlan({ config, topology, ...ROUTED });
  return { module, genesis, topology, config, plan, runId: RUN_ID };
}

export function createLineage(outer: Partial<RunConfig["outer"]> = {}): Lineage {
  return new Lineage(createInit(outer));
}

const topology = createTopology(createConfig());

/** What a round of a path started from: `base` of its module, and genesis versions of the others. */
export function basesOf(module: string, path: number, base: CID): Base[] {
  // Tests also ask for paths that there are not.
  const modules = path < topology.paths ? topology.basesOfPath(path) : [module];
  const named = modules.map((name) => ({
    module: name,
    version: name === module ? base : genesisOf(name).cid,
  }));
  return modules.includes(module) ? named : [{ module, version: base }];
}

/** A valid contribution to `lower/0`, with any part replaced. */
export function contribute(base: CID, parts: Partial<KnownContribution> = {}): KnownContribution {
  const steps = parts.steps ?? 1;
  const { module = MODULE, path = 0 } = parts;
  const contribution = {
    run: RUN_ID,
    module,
    bases: basesOf(module, path, base),
    base,
    work: "train" as const,
    round: 0,
    path,
    replica: 0,
    delta: cidOf("delta"),
    tokens: steps * TOKENS_PER_STEP,
    steps,
    loss: 1,
    signer: "ann",
    ...parts,
  };
  return { ...contribution, cid: parts.cid ?? cidOf(JSON.stringify(contribution)) };
}

/** The version that folds contributions on a parent, with any part replaced. `salt` stands for its tensors. */
export function fold(
  parent: KnownVersion,
  contributions: readonly KnownContribution[],
  parts: Partial<Version> & { salt?: number; parameters?: CID } = {},
): KnownVersion {
  const order = contributions.toSorted(compareContributions);
  const cids = order.map((contribution) => contribution.cid.toString()).join();
  const { salt = 0, parameters = cidOf(`${parent.cid.toString()} ${cids} ${salt}`), ...replaced } = parts;
  return identify({
    module: parent.module,
    generation: parent.generation + 1,
    parent: parent.cid,
    contributions: order.map((contribution) => contribution.cid),
    state: { parameters, momentum: parameters },
    tokens: parent.tokens + order.reduce((sum, contribution) => sum + contribution.tokens, 0),
    ...replaced,
  });
}

/** One contribution of round `round` by each path through the module, started from `base`. */
export function contributeRound(
  base: CID,
  round: number,
  parts: Partial<KnownContribution> = {},
): [KnownContribution, KnownContribution] {
  return [contribute(base, { round, path: 0, ...parts }), contribute(base, { round, path: 1, ...parts })];
}

export function labels(items: readonly { cid: CID }[]): string[] {
  return items.map((item) => item.cid.toString());
}
