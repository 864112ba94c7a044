import type { Check } from "../types.ts";

/** Every version follows from its parent and what it folds, back to genesis: nothing else that the auditor says is wrong. */
export const lineage: Check = {
  name: "lineage",
  ended: ({ report, rotted, lies }) => [
    ...(report.refolded === 0 ? ["No version could be folded again."] : []),
    ...report.problems
      .filter((problem) => !problem.includes(" is lost: "))
      .filter((problem) => ![...rotted].some((file) => problem.startsWith(`${file} is corrupt: `)))
      .filter((problem) => ![...lies].some((cid) => problem.includes(`(${cid}) does not follow: `))),
  ],
};
