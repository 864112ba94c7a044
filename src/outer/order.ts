import type { CID } from "multiformats/cid";
import { compareSlots } from "../plan/slots.ts";
import type { KnownContribution, KnownVersion } from "./types.ts";

/** Orders CIDs by their bytes. */
export function compareCids(a: CID, b: CID): number {
  return Buffer.compare(a.bytes, b.bytes);
}

/** Fold order: round, path, replica, then CID bytes. Never 0 for two different contributions. */
export function compareContributions(a: KnownContribution, b: KnownContribution): number {
  return compareSlots(a, b) || compareCids(a.cid, b.cid);
}

/** Fork choice, best first: more folded tokens, then the lower CID. */
export function compareHeads(
  a: Pick<KnownVersion, "tokens" | "cid">,
  b: Pick<KnownVersion, "tokens" | "cid">,
): number {
  return b.tokens - a.tokens || compareCids(a.cid, b.cid);
}
