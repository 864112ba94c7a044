import { CID } from "multiformats/cid";
import type { Check } from "../types.ts";

/** What a peer contributed has its outer gradient on that peer's disk for as long as some version may fold it. */
export const unsettledIsKept: Check = {
  name: "unsettled is kept",
  restored: ({ name, peer, announced, records, pins, swarm, maxStaleness }) =>
    records
      .filter(({ cid, signer }) => signer === peer && announced.has(cid))
      .filter(({ cid, complete }) => !complete || ![...pins].some((pin) => pin.endsWith(`:${cid}`)))
      .filter(({ module, cid }) => {
        const lineage = swarm.lineage(module);
        const contribution = lineage.contribution(CID.parse(cid));
        const base = contribution && lineage.version(contribution.base);
        if (base === undefined || lineage.refusal(contribution!.cid) !== undefined) return false;
        return lineage.head().generation - base.generation <= maxStaleness;
      })
      .map(({ cid, module }) => `${name} let go of the outer gradient of ${cid} to ${module} too early.`),
};
