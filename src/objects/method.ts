import { z } from "zod";

/**
 * The name of a method (an optimizer, a codec, a way to route), as configurations and objects give it. What a name
 * stands for is in the tables of methods, so that a new one is no new format.
 */
export const methodSchema = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, "use lower-case letters, digits and hyphens");
