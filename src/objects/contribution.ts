import { z } from "zod";
import { cidSchema, countSchema } from "./object.ts";
import { defineSigned } from "./signed.ts";

/** The outer gradient θ_start − θ_end of one (round, path, replica) for one module, with its metadata. */
const contributionSchema = z.strictObject({
  run: cidSchema,
  module: z.string().min(1).max(64),
  round: countSchema,
  path: countSchema,
  replica: countSchema,
  /** The version of the module that the round started from. */
  base: cidSchema,
  /** The versions of all modules of its path that it started from, in network order; only where the run tries it on held-out text. */
  bases: z.array(cidSchema).max(64).optional(),
  /** TensorPack of the outer gradient in the run's codec. */
  delta: cidSchema,
  /** Training tokens this round consumed: steps × batch × sequence length. */
  tokens: countSchema,
  steps: countSchema,
  /** Mean training loss of the round, nats per token. */
  loss: z.number(),
});

export type Contribution = z.infer<typeof contributionSchema>;

/** A contribution as it travels: the signed block. Its CID is the contribution's identity. */
export const Contribution = defineSigned<Contribution>("pathweave/contribution", 1, contributionSchema);
