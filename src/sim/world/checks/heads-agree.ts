import type { Check } from "../types.ts";

/** The core has all rounds and the same heads within its time, and every disk by itself gives them. */
export const headsAgree: Check = {
  name: "heads agree",
  ended: ({ finished, unfinished, report }) => [
    ...(finished ? [] : unfinished),
    ...(report.headsAgree ? [] : ["The disks give other heads than all of them together."]),
  ],
};
