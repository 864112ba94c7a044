/**
 * What peers claim and do, by kind of work. A kind is added here as the keys of its slots; a contribution to one and a
 * lease on one have them among their own.
 */
import { z } from "zod";
import { countSchema } from "./object.ts";

/** One round of one replica of one path: H inner steps, and a contribution to each module of the path. */
export const trainSlot = {
  work: z.literal("train"),
  round: countSchema,
  path: countSchema,
  replica: countSchema,
};

export type TrainSlot = z.infer<z.ZodObject<typeof trainSlot>>;

/** The unit of work that one peer claims and does. Another kind of work adds a type here. */
export type Slot = TrainSlot;

/**
 * What tells the slots of a kind apart, the most significant for the order of folding first; the kinds are folded in the
 * order of this table.
 */
export const SLOT_KEYS: { readonly [Kind in Slot as Kind["work"]]: readonly Exclude<keyof Kind, "work">[] } =
  {
    train: ["round", "path", "replica"],
  };

/** Whether this release knows a kind of work. */
export function isWork(work: string): work is Slot["work"] {
  return Object.hasOwn(SLOT_KEYS, work);
}
