import { z } from "zod";
import { bytesSchema, countSchema, defineObject, rawCidSchema } from "./object.ts";

const chunks = z.array(rawCidSchema).max(16_384);

/** A Hugging Face `tokenizer.json`, cut into raw chunks. */
const tokenizerSchema = z.strictObject({ bytes: countSchema, chunks });
export type TokenizerObject = z.infer<typeof tokenizerSchema>;
export const TokenizerObject = defineObject<TokenizerObject>("pathweave/tokenizer", 2, tokenizerSchema);

/**
 * Tokenized documents: `tokens` little-endian integers of `width` bytes over all chunks, each document
 * ended by the end-of-text token. `lengths` has one little-endian uint32 per document (that token
 * included), over its own chunks.
 */
const shardSchema = z.strictObject({
  name: z.string().max(64),
  documents: countSchema,
  tokens: countSchema,
  width: z.union([z.literal(2), z.literal(4)]),
  endOfText: countSchema,
  chunks,
  lengths: chunks,
});
export type ShardObject = z.infer<typeof shardSchema>;
export const ShardObject = defineObject<ShardObject>("pathweave/shard", 2, shardSchema);

/**
 * k-means over standardised features: z' = (z − mean) / scale, path = argmin ‖z' − c_p‖².
 * `mean` and `scale` are `features` little-endian f32; `centroids` are paths × features of them.
 */
const routerSchema = z.strictObject({
  method: z.literal("kmeans"),
  prefixTokens: countSchema,
  features: countSchema,
  paths: countSchema,
  mean: bytesSchema,
  scale: bytesSchema,
  centroids: bytesSchema,
});
export type RouterObject = z.infer<typeof routerSchema>;
export const RouterObject = defineObject<RouterObject>("pathweave/router", 2, routerSchema);
