import type { Check } from "../types.ts";

/** Every contribution that survives on a disk is folded, or rejected for a reason. */
export const nothingLost: Check = {
  name: "nothing lost",
  ended: ({ report }) => report.problems.filter((problem) => problem.includes(" is lost: ")),
};
