/** The records of a lineage as they travel and lie on disks: blocks of versions and of signed contributions. */
import type { CID } from "multiformats/cid";
import { UnknownFormatError } from "../errors.ts";
import { baseOf, Contribution } from "../objects/contribution.ts";
import { dagCborCid, kindOf } from "../objects/object.ts";
import type { Signed } from "../objects/signed.ts";
import { Version } from "../objects/version.ts";
import type { KnownContribution, KnownVersion } from "./types.ts";

/** A decoded and verified record, with its block as `bytes`. */
export type OpenedRecord = { bytes: Uint8Array } & (
  | { type: "version"; record: KnownVersion }
  | { type: "contribution"; record: KnownContribution }
);

/** What is known of a contribution once its envelope is open. */
export function knownContribution({ value, signer }: Signed<Contribution>, cid: CID): KnownContribution {
  return { ...value, base: baseOf(value), cid, signer };
}

/**
 * A version or a signed contribution, by what its block says it is; `verified` when it was opened before. Throws
 * InvalidObjectError, and UnknownFormatError when it is a record of another kind or format.
 */
export async function openRecord(bytes: Uint8Array, verified = false): Promise<OpenedRecord> {
  const cid = dagCborCid(bytes);
  const kind = kindOf(bytes);
  if (kind === Version.kind) return { bytes, type: "version", record: { ...Version.decode(bytes), cid } };
  if (kind !== undefined && kind !== `${Contribution.kind}/signed`)
    throw new UnknownFormatError(`A record of the kind ${kind.slice(0, 40)} is not known here.`);
  const opened = verified ? Contribution.recall(bytes) : await Contribution.open(bytes);
  return { bytes, type: "contribution", record: knownContribution(opened, cid) };
}
