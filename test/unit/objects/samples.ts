/** One fixed value of every kind of object; their bytes are kept in `test/golden/objects`. */
import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import type { CID } from "multiformats/cid";
import { Announcers } from "../../../src/objects/announcers.ts";
import { runConfigSchema } from "../../../src/objects/config.ts";
import type { Contribution } from "../../../src/objects/contribution.ts";
import { RouterObject, ShardObject, TokenizerObject } from "../../../src/objects/data.ts";
import { Manifest, ROUTER } from "../../../src/objects/manifest.ts";
import { type ObjectKind, dagCborCid, rawBlock } from "../../../src/objects/object.ts";
import { PathStateObject } from "../../../src/objects/path-state.ts";
import { TensorPack } from "../../../src/objects/tensor-pack.ts";
import { Version } from "../../../src/objects/version.ts";

export const node = (label: string): CID => dagCborCid(Buffer.from(label));
export const chunk = (label: string): CID => rawBlock(Buffer.from(label)).cid;
const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);

const shardReference = { shard: node("shard"), documents: 12, tokens: 3456 };

export const version: Version = {
  module: "lower/1",
  generation: 3,
  parent: node("parent"),
  contributions: [node("first"), node("second")],
  state: { parameters: node("parameters"), momentum: node("momentum") },
  tokens: 123_456_789_012,
};

export const contribution: Contribution = {
  run: node("run"),
  module: "lower/1",
  bases: [
    { module: "embedding/0", version: node("embedding") },
    { module: "lower/1", version: node("base") },
    { module: "head/0", version: node("head") },
    { module: ROUTER, version: node("router") },
  ],
  work: "train",
  round: 2,
  path: 5,
  replica: 0,
  delta: node("delta"),
  tokens: 51_200,
  steps: 25,
  loss: 3.25,
};

/** A kind with its type forgotten, so that all go through the same tests. */
export interface Sample {
  name: string;
  kind: ObjectKind<object>;
  value: object;
}

function sample<T extends object>(name: string, kind: ObjectKind<T>, value: T): Sample {
  return { name, kind, value };
}

export const samples: Sample[] = [
  sample("manifest", Manifest, {
    protocol: 2,
    creator: "12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq",
    config: runConfigSchema.parse({
      name: "golden",
      seed: 7,
      grid: [2, 2],
      training: { learningRate: 2e-3 },
      levels: [
        { name: "lower", parts: ["embedding", "blocks 0-1"], choose: 0 },
        { name: "upper", parts: ["blocks 2-3", "head"], choose: 1 },
      ],
    }),
    genesis: ["lower/0", "lower/1", "upper/0", "upper/1", ROUTER].map((module) => ({
      module,
      version: node(module),
    })),
    tokenizer: node("tokenizer"),
    shards: [shardReference, shardReference, shardReference, shardReference],
    holdouts: [shardReference, shardReference, shardReference, shardReference],
    validation: shardReference,
  }),
  sample("tensor-pack", TensorPack, {
    codec: "bf16",
    tensors: [
      { name: "model.layers.0.input_layernorm.weight", shape: [4] },
      { name: "model.layers.0.self_attn.q_proj.weight", shape: [4, 4] },
    ],
    elements: 20,
    bytes: 40,
    chunks: [chunk("tensors")],
  }),
  sample("version", Version, version),
  sample("version-genesis", Version, {
    ...version,
    generation: 0,
    parent: null,
    contributions: [],
    state: { parameters: node("parameters") },
    tokens: 0,
  }),
  sample("router", RouterObject, {
    method: "kmeans",
    prefixTokens: 32,
    features: 2,
    paths: 2,
    mean: floats(0.5, -0.25),
    scale: floats(1, 2),
    centroids: floats(1, 0, 0, 1),
  }),
  sample("tokenizer", TokenizerObject, { bytes: 5000, chunks: [chunk("tokenizer")] }),
  sample("shard", ShardObject, {
    name: "train/0",
    documents: 12,
    tokens: 3456,
    width: 2,
    endOfText: 0,
    chunks: [chunk("tokens 0"), chunk("tokens 1")],
    lengths: [chunk("lengths")],
  }),
  sample("path-state", PathStateObject, {
    round: 2,
    path: 5,
    replica: 1,
    step: 75,
    tensors: node("tensors"),
  }),
  sample("announcers", Announcers, {
    versions: [
      {
        version: node("version"),
        by: [
          { peer: "12D3KooWEve", published: true },
          { peer: "12D3KooWAnn", published: false },
        ],
      },
    ],
  }),
];

/** The key whose seed is 32 bytes of 7. */
export const key = await generateKeyPairFromSeed("Ed25519", new Uint8Array(32).fill(7));
