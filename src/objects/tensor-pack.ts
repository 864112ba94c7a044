import { z } from "zod";
import { methodSchema } from "./method.ts";
import { countSchema, defineObject, rawCidSchema } from "./object.ts";

const tensorSchema = z.strictObject({
  name: z.string().min(1).max(128),
  shape: z.array(z.int().min(1)).max(8),
});

/**
 * Named tensors, concatenated in order, encoded, and cut into raw chunks. The concatenation has
 * `elements` numbers and `bytes` bytes.
 */
const tensorPackSchema = z.strictObject({
  /** How the numbers are written. */
  codec: methodSchema,
  tensors: z.array(tensorSchema).min(1).max(4096),
  elements: countSchema,
  bytes: countSchema,
  chunks: z.array(rawCidSchema).min(1).max(16_384),
});

export type TensorDescription = z.infer<typeof tensorSchema>;
export type TensorPack = z.infer<typeof tensorPackSchema>;
export const TensorPack = defineObject<TensorPack>("pathweave/tensor-pack", 2, tensorPackSchema);
