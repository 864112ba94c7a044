import type { Check } from "../types.ts";

/** What a peer retained lies on its disk until it is released: no sweep takes it, nor anything that was under way. */
export const retainedIsThere: Check = {
  name: "retained is there",
  restored: ({ name, missing }) =>
    missing.map(({ pin, path }) => `${name} retained ${path} as ${pin}, and it is not there.`),
};
