import { z } from "zod";
import { cidSchema, countSchema, defineObject } from "./object.ts";

/** The name of a part of a module's state: a path of IPLD leads through it, so it holds no slash. */
const stateNameSchema = z.string().regex(/^[a-z][A-Za-z0-9-]{0,31}$/, "use letters, digits and hyphens");

const MAX_STATE_NAMES = 16;

/**
 * A module's state after outer update number `generation`. A pure function of (parent version, set of
 * contributions, manifest): it holds no author and no time (docs/design.md section 2.1). It links its state only; its
 * parent and contributions are bytes.
 */
const versionSchema = z.strictObject({
  module: z.string().min(1).max(64),
  /** 0 for a genesis version. */
  generation: countSchema,
  /** null for a genesis version only. */
  parent: cidSchema.nullable(),
  /** Contributions folded into this version, in fold order. */
  contributions: z.array(cidSchema).max(8192),
  /**
   * What the module's outer optimizer keeps, by its names: TensorPacks (f32) such as `parameters` and `momentum`. Of a
   * genesis version what is not there is zeros. Of the router, its `router` object.
   */
  state: z
    .record(stateNameSchema, cidSchema)
    .refine((state) => Object.keys(state).length <= MAX_STATE_NAMES, `at most ${MAX_STATE_NAMES} names`),
  /** Training tokens folded into this lineage from genesis to here; the weight of fork choice. */
  tokens: countSchema,
});

export type Version = z.infer<typeof versionSchema>;
export const Version = defineObject<Version>("pathweave/version", 2, versionSchema, [
  "parent",
  "contributions",
]);
