import type { CID } from "multiformats/cid";
import { z } from "zod";
import { peerIdSchema, runConfigSchema } from "./config.ts";
import { cidSchema, countSchema, defineObject } from "./object.ts";

/**
 * The module that sends documents to paths. It has versions like the modules of the network; of k-means its state is a
 * `router` object, and no work changes it. No module of the network has this name: theirs hold a slash.
 */
export const ROUTER = "router";

/** One part of the corpus as an IPFS object, with its size (the weight of loss reweighing). */
const shardReferenceSchema = z.strictObject({
  shard: cidSchema,
  documents: countSchema,
  tokens: countSchema,
});

/** A run. The CID of this object is the run id; it never changes. */
const manifestSchema = z.strictObject({
  /** The version of the protocol that its peers speak. */
  protocol: countSchema,
  /** Peer id of who made it. */
  creator: peerIdSchema,
  config: runConfigSchema,
  /** The genesis version of every module, those of the network in order, then the router. */
  genesis: z.array(z.strictObject({ module: z.string().min(1).max(64), version: cidSchema })).max(16_384),
  tokenizer: cidSchema,
  /** One training shard per path, in path order. */
  shards: z.array(shardReferenceSchema).min(1).max(8192),
  /** One early-stopping holdout per path, in path order. */
  holdouts: z.array(shardReferenceSchema).min(1).max(8192),
  /** Held-out documents of the whole corpus, for evaluation. */
  validation: shardReferenceSchema,
});

export type ShardReference = z.infer<typeof shardReferenceSchema>;
export type Manifest = z.infer<typeof manifestSchema>;
export const Manifest = defineObject<Manifest>("pathweave/manifest", 2, manifestSchema);

/** The genesis version that a manifest names for a module. */
export function genesisOf({ genesis }: Pick<Manifest, "genesis">, module: string): CID | undefined {
  return genesis.find((each) => each.module === module)?.version;
}
