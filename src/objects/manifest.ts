import { z } from "zod";
import { runConfigSchema } from "./config.ts";
import { cidSchema, countSchema, defineObject } from "./object.ts";

/** One part of the corpus as an IPFS object, with its size (the weight of loss reweighing). */
const shardReferenceSchema = z.strictObject({
  shard: cidSchema,
  documents: countSchema,
  tokens: countSchema,
});

/** A run. The CID of this object is the run id; it never changes. */
const manifestSchema = z.strictObject({
  config: runConfigSchema,
  /** The genesis version of every module, by module name. */
  genesis: z.record(z.string(), cidSchema),
  tokenizer: cidSchema,
  router: cidSchema,
  /** One training shard per path, in path order. */
  shards: z.array(shardReferenceSchema).min(1).max(8192),
  /** One early-stopping holdout per path, in path order. */
  holdouts: z.array(shardReferenceSchema).min(1).max(8192),
  /** Held-out documents of the whole corpus, for evaluation. */
  validation: shardReferenceSchema,
});

export type ShardReference = z.infer<typeof shardReferenceSchema>;
export type Manifest = z.infer<typeof manifestSchema>;
export const Manifest = defineObject<Manifest>("pathweave/manifest", 1, manifestSchema);
