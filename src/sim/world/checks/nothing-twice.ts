import type { Check } from "../types.ts";

/** No lineage folds the same work twice. */
export const nothingTwice: Check = {
  name: "nothing twice",
  ended: ({ report }) =>
    report.foldedTwice === 0 ? [] : [`${report.foldedTwice} contributions are folded twice.`],
};
