import type { Check } from "../types.ts";
import { announcedIsRetained } from "./announced-is-retained.ts";
import { headsAgree } from "./heads-agree.ts";
import { lineage } from "./lineage.ts";
import { nothingLost } from "./nothing-lost.ts";
import { nothingTwice } from "./nothing-twice.ts";
import { retainedIsAnnounced } from "./retained-is-announced.ts";
import { retainedIsThere } from "./retained-is-there.ts";
import { retainedIsWhole } from "./retained-is-whole.ts";
import { unsettledIsKept } from "./unsettled-is-kept.ts";

export const CHECKS: readonly Check[] = [
  headsAgree,
  nothingLost,
  nothingTwice,
  lineage,
  announcedIsRetained,
  retainedIsAnnounced,
  retainedIsThere,
  retainedIsWhole,
  unsettledIsKept,
];
