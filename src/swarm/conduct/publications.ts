/** Remembers which outcome of a fold each peer published, to notice a peer that publishes two. Pure. */
import { createHash } from "node:crypto";
import type { CID } from "multiformats/cid";
import { boundedMap } from "../../bounded-map.ts";
import type { KnownVersion } from "../../outer/types.ts";

const MAX_REMEMBERED = 16_384;

/** Notes a version that a peer published as its own fold; returns another outcome of the same fold that it published. */
export type NotePublication = (peer: string, version: KnownVersion) => CID | undefined;

export function createPublications(): NotePublication {
  const outcomes = boundedMap<string, CID>(MAX_REMEMBERED);
  return (peer, version) => {
    const fold = createHash("sha256").update(`${peer} ${version.module} ${version.parent}`);
    for (const contribution of version.contributions) fold.update(contribution.bytes);
    const key = fold.digest("base64");
    const known = outcomes.get(key);
    if (known === undefined) outcomes.set(key, version.cid);
    return known === undefined || known.equals(version.cid) ? undefined : known;
  };
}
