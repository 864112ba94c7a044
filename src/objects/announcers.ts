import { z } from "zod";
import { cidSchema, defineObject } from "./object.ts";

const announcerSchema = z.strictObject({
  peer: z.string().min(1).max(128),
  /** Whether it published the version as its own fold, rather than passing it on. */
  published: z.boolean(),
});

/**
 * Who announced which version to a peer, in the order of hearing: evidence against those that announced a false
 * version. Versions are unsigned, so this is known only to those who heard it.
 */
const announcersSchema = z.strictObject({
  versions: z
    .array(z.strictObject({ version: cidSchema, by: z.array(announcerSchema).min(1).max(4) }))
    .max(2048),
});

export type Announcers = z.infer<typeof announcersSchema>;
export const Announcers = defineObject<Announcers>("pathweave/announcers", 2, announcersSchema);
