import { z } from "zod";
import { cidSchema, countSchema, defineObject } from "./object.ts";

/**
 * A module's state after outer update number `generation`. A pure function of (parent version, set of
 * contributions, manifest): it holds no author and no time (DESIGN section 2.1).
 */
const versionSchema = z.strictObject({
  module: z.string().min(1).max(64),
  /** 0 for a genesis version. */
  generation: countSchema,
  /** null for a genesis version only. */
  parent: cidSchema.nullable(),
  /** Contributions folded into this version, in fold order. */
  contributions: z.array(cidSchema).max(8192),
  /** TensorPack (f32) of θ. */
  parameters: cidSchema,
  /** TensorPack (f32) of the Nesterov buffer b; null means zeros. */
  momentum: cidSchema.nullable(),
  /** Training tokens folded into this lineage from genesis to here; the weight of fork choice. */
  tokens: countSchema,
});

export type Version = z.infer<typeof versionSchema>;
export const Version = defineObject<Version>("pathweave/version", 1, versionSchema);
