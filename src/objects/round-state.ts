import { z } from "zod";
import { bytesSchema, cidSchema, countSchema, defineObject } from "./object.ts";

/**
 * The head of the file that a peer keeps of the round it trains; never sent. After it come the flat vectors θ and
 * AdamW's first and second moment of the path, f32 little-endian.
 */
const roundStateSchema = z.strictObject({
  round: countSchema,
  path: countSchema,
  replica: countSchema,
  /** The versions that the round started from: of the path's modules, in network order, and of the router. */
  bases: z.array(cidSchema).min(1).max(65),
  /** Steps of the round that are done, their mean training loss, and whether the learning rate warmed up. */
  steps: countSchema,
  loss: z.number(),
  warmsUp: z.boolean(),
  /** AdamW steps that the moments have seen. */
  step: countSchema,
  /** Parameters of the path. */
  elements: countSchema,
  /** SHA-256 of the vectors. */
  digest: bytesSchema,
});

export type RoundStateObject = z.infer<typeof roundStateSchema>;
export const RoundStateObject = defineObject<RoundStateObject>("pathweave/round-state", 2, roundStateSchema);
