import { z } from "zod";
import { cidSchema, countSchema, defineObject } from "./object.ts";

/**
 * What the holder of a path keeps from one round to the next; never sent. The TensorPack has the flat vectors
 * `firstMoment` and `secondMoment` of AdamW and, with a lossy codec, `residual`, each of all parameters of the path.
 */
const pathStateSchema = z.strictObject({
  /** The round that left it. */
  round: countSchema,
  path: countSchema,
  replica: countSchema,
  /** AdamW steps that the moments have seen. */
  step: countSchema,
  tensors: cidSchema,
});

export type PathStateObject = z.infer<typeof pathStateSchema>;
export const PathStateObject = defineObject<PathStateObject>("pathweave/path-state", 2, pathStateSchema);
