import type { Check } from "../types.ts";

/** What a peer counts as its own lies whole on its disk, whatever end it came to. */
export const retainedIsWhole: Check = {
  name: "retained is whole",
  restored: ({ name, harmed }) => harmed.map((path) => `${name} retained ${path}, which is not whole.`),
};
