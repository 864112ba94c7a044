/** The run of a simulated world: a configuration of the seed, and all objects of a manifest, tiny and in memory. */
import type { CID } from "multiformats/cid";
import { type RunConfig, runConfigSchema } from "../../objects/config.ts";
import { RouterObject, ShardObject, TokenizerObject } from "../../objects/data.ts";
import { Manifest, ROUTER } from "../../objects/manifest.ts";
import { type Block, rawBlock } from "../../objects/object.ts";
import { type TensorDescription, TensorPack } from "../../objects/tensor-pack.ts";
import { PROTOCOL } from "../../objects/protocol.ts";
import { Version } from "../../objects/version.ts";
import { encodeTensors } from "../../outer/codec.ts";
import type { KnownVersion } from "../../outer/types.ts";
import { createRandom, type Random } from "../../random.ts";
import { createTopology } from "../../run/topology.ts";
import type { Topology } from "../../run/types.ts";

/** Parameters of every module. */
const ELEMENTS = 48;
const TENSORS: TensorDescription[] = [
  { name: "a", shape: [4, 8] },
  { name: "b", shape: [16] },
];

/** Who may take part: everybody, whoever has the key, or the peers of a list. */
export type Access = "open" | "keyed" | "listed";

export interface WorldRun {
  run: CID;
  manifest: Manifest;
  topology: Topology;
  genesis: ReadonlyMap<string, KnownVersion>;
  tensors(module: string): TensorDescription[];
  /** Everything that the creator has on disk. */
  blocks: Block[];
}

function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[random.integer(choices.length)]!;
}

/**
 * @param peers who is on the list of a listed run
 * @param rounds where the seed does not decide
 */
export function createConfig(
  seed: number,
  random: Random,
  access: Access,
  peers: string[],
  rounds?: number,
): RunConfig {
  const grid = pick(random, [[2], [3], [2, 2]]);
  const chooseUpper = grid.length === 2 ? 1 : pick(random, ["shared", "path"] as const);
  return runConfigSchema.parse({
    name: `world-${seed}`,
    seed,
    grid,
    levels: [
      { name: "lower", parts: ["embedding", "blocks 0-1"], choose: 0 },
      { name: "upper", parts: ["blocks 2-3", "head"], choose: chooseUpper },
    ],
    replicas: pick(random, [1, 1, 2]),
    model: { sequenceLength: 4 },
    training: { rounds: rounds ?? 12 + random.integer(3), innerSteps: 3, batchSize: 2 },
    outer: {
      codec: pick(random, ["f32", "bf16", "int8"] as const),
      maxStaleness: pick(random, [2, 4, 8]),
      quorum: pick(random, [0.5, 0.75, 1]),
    },
    swarm: {
      heartbeatSeconds: 4,
      leaseSeconds: 20,
      settleSeconds: 1,
      graceSeconds: pick(random, [15, 30]),
      antiEntropySeconds: 10,
      owners: pick(random, [1, 2, 3]),
      retainGenerations: 2,
      verify: pick(random, ["all", "all", "sample", "none"] as const),
    },
    ...(access === "listed" ? { admission: { peers } } : {}),
  });
}

/** @param creator peer id of the machine that has all objects at first */
export function createWorldRun(config: RunConfig, creator: string): WorldRun {
  const blocks: Block[] = [];
  const put = (block: Block): CID => {
    blocks.push(block);
    return block.cid;
  };
  const raw = (label: string): CID => put(rawBlock(Buffer.from(`${config.name} ${label}`)));
  const topology = createTopology(config);
  const random = createRandom("genesis", config.name);
  const genesis = new Map<string, KnownVersion>();
  const begin = (module: string, state: Version["state"]): void => {
    const value: Version = { module, generation: 0, parent: null, contributions: [], state, tokens: 0 };
    genesis.set(module, { ...value, cid: put(Version.encode(value)) });
  };
  for (const { name: module } of topology.modules) {
    const values = Float32Array.from({ length: ELEMENTS }, () => 0.1 * random.normal());
    const bytes = encodeTensors(values, "f32");
    const pack = {
      codec: "f32",
      tensors: TENSORS,
      elements: ELEMENTS,
      bytes: bytes.byteLength,
      chunks: [put(rawBlock(bytes))],
    } as const;
    begin(module, {
      parameters: put(TensorPack.encode({ ...pack, tensors: TENSORS, chunks: [...pack.chunks] })),
    });
  }
  const nothing = new Uint8Array(0);
  const router = RouterObject.encode({
    method: "kmeans",
    prefixTokens: 1,
    features: 0,
    paths: topology.paths,
    mean: nothing,
    scale: nothing,
    centroids: nothing,
  });
  begin(ROUTER, { router: put(router) });
  const shard = (name: string): { shard: CID; documents: number; tokens: number } => ({
    shard: put(
      ShardObject.encode({
        name,
        documents: 1,
        tokens: 4,
        width: 2,
        endOfText: 0,
        chunks: [raw(name)],
        lengths: [raw(`lengths of ${name}`)],
      }),
    ),
    documents: 1,
    tokens: 100 + random.integer(900),
  });
  const ofPaths = (what: string): ReturnType<typeof shard>[] =>
    Array.from({ length: topology.paths }, (_, path) => shard(`${what} ${path}`));
  const manifest: Manifest = {
    protocol: PROTOCOL,
    creator,
    config,
    genesis: [...genesis].map(([module, { cid }]) => ({ module, version: cid })),
    tokenizer: put(TokenizerObject.encode({ bytes: 1, chunks: [raw("tokenizer")] })),
    shards: ofPaths("shard"),
    holdouts: ofPaths("holdout"),
    validation: shard("validation"),
  };
  return { run: put(Manifest.encode(manifest)), manifest, topology, genesis, tensors: () => TENSORS, blocks };
}
