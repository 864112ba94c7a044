/** The records of a lineage as they travel and lie on disks: blocks of versions and of signed contributions. */
import type { CID } from "multiformats/cid";
import { UnknownFormatError } from "../errors.ts";
import { baseOf, Contribution } from "../objects/contribution.ts";
import { dagCborCid, kindOf } from "../objects/object.ts";
import type { Signed } from "../objects/signed.ts";
import { Version } from "../objects/version.ts";
import type { KnownContribution, KnownVersion } from "./types.ts";

export type OpenedRecord =
  | { type: "version"; record: KnownVersion }
  | { type: "contribution"; record: KnownContribution };

/** What is known of a contribution once its envelope is open. */
export function knownContribution({ value, signer }: Signed<Contribution>, cid: CID): KnownContribution {
  return { ...value, base: baseOf(value), cid, signer };
}

/**
 * A version or a signed contribution, by what its block says it is. Throws InvalidObjectError, and UnknownFormatError
 * when it is a record of another kind or format.
 */
export async function openRecord(bytes: Uint8Array): Promise<OpenedRecord> {
  const cid = dagCborCid(bytes);
  const kind = kindOf(bytes);
  if (kind === Version.kind) return { type: "version", record: { ...Version.decode(bytes), cid } };
  if (kind !== undefined && kind !== `${Contribution.kind}/signed`)
    throw new UnknownFormatError(`A record of the kind ${kind.slice(0, 40)} is not known here.`);
  return { type: "contribution", record: knownContribution(await Contribution.open(bytes), cid) };
}
