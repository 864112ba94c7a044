import { isKnown } from "./announced-is-retained.ts";
import type { Check } from "../types.ts";

/** A contribution of one's own that is whole on the disk is known after a restart, so that others hear of it. */
export const retainedIsAnnounced: Check = {
  name: "retained is announced",
  restored: ({ name, peer, records, swarm }) =>
    records
      .filter(({ signer, complete }) => signer === peer && complete)
      .filter((record) => !isKnown(swarm, record))
      .map(
        ({ cid, module }) => `${name} has its contribution ${cid} to ${module} on disk and does not know it.`,
      ),
};
