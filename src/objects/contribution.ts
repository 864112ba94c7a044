import { z } from "zod";
import { cidSchema, countSchema } from "./object.ts";
import { defineSigned } from "./signed.ts";
import { trainSlot } from "./slot.ts";

const moduleName = z.string().min(1).max(64);

const baseSchema = z.strictObject({ module: moduleName, version: cidSchema });

/** What every contribution says: the result of one piece of work for one module. */
const common = {
  run: cidSchema,
  module: moduleName,
  /** The versions that the work started from, of each module that took part, in network order. */
  bases: z.array(baseSchema).min(1).max(65),
};

/** Trains a round of a replica of a path: the outer gradient θ_start − θ_end for one module of it. */
const trainSchema = z.strictObject({
  ...common,
  ...trainSlot,
  /** TensorPack of the outer gradient in the run's codec. */
  delta: cidSchema,
  /** Training tokens this round consumed: steps × batch × sequence length. */
  tokens: countSchema,
  steps: countSchema,
  /** Mean training loss of the round, nats per token. */
  loss: z.number(),
});

/** By kind of work, each with the keys of its slot and its payload. A kind is added as a variant. */
const contributionSchema = z
  .discriminatedUnion("work", [trainSchema])
  .refine(({ module, bases }) => bases.some((base) => base.module === module), {
    path: ["bases"],
    message: "name no version of the module itself",
  });

export type Contribution = z.infer<typeof contributionSchema>;
export type Base = z.infer<typeof baseSchema>;

/**
 * A contribution as it travels: the signed block. Its CID is the contribution's identity. It links its payload only; its
 * run and bases are bytes.
 */
export const Contribution = defineSigned<Contribution>("pathweave/contribution", 2, contributionSchema, [
  "run",
  "bases",
]);

/** The version of the contribution's own module that its work started from. */
export function baseOf({ module, bases }: Pick<Contribution, "module" | "bases">): Base["version"] {
  return bases.find((base) => base.module === module)!.version;
}
