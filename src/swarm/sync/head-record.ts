/**
 * A module's head as a signed DHT record, so that a joiner finds the newest lineage even when gossip passed it
 * by. Advisory: it leads to a peer to ask, and a head still has to prove its lineage.
 *
 * Kademlia servers overwrite blindly, so the validator refuses rollbacks (measured: put 5 then 3 reads 3).
 */
import { CID } from "multiformats/cid";
import { z } from "zod";
import { boundedMap } from "../../bounded-map.ts";
import { InvalidObjectError, OutdatedError } from "../../errors.ts";
import { PROTOCOL } from "../../objects/protocol.ts";
import { cidSchema, countSchema } from "../../objects/object.ts";
import { defineSigned } from "../../objects/signed.ts";
import { compareHeads } from "../../outer/order.ts";
import type { RecordHandler } from "../../net/types.ts";

const headRecordSchema = z.object({
  run: cidSchema,
  module: z.string().min(1).max(64),
  head: cidSchema,
  generation: countSchema,
  tokens: countSchema,
});

export type HeadRecord = z.infer<typeof headRecordSchema>;
export const HeadRecord = defineSigned<HeadRecord>("pathweave/head-record", 2, headRecordSchema.loose());

export const HEAD_NAMESPACE = `pathweave-${PROTOCOL}`;
const MAX_RECORD_BYTES = 2048;
/** Keys whose newest record a server remembers; the least recently written is forgotten first. */
const MAX_KEYS = 65_536;

/** DHT key of a module's head. */
export function headKey(run: CID, module: string): string {
  return `/${HEAD_NAMESPACE}/${run.toString()}/${module}`;
}

/** The record as fork choice compares it. */
function headOf({ head: cid, tokens }: HeadRecord): { cid: CID; tokens: number } {
  return { cid, tokens };
}

/** Whether a record names a better head than a peer has, by fork choice. */
export function namesBetterHead(record: HeadRecord, than: { cid: CID; tokens: number }): boolean {
  return compareHeads(headOf(record), than) < 0;
}

/** Validator and selector of head records, with memory of the newest per key. */
export function headRecords(): RecordHandler {
  const newest = boundedMap<string, HeadRecord>(MAX_KEYS);
  return {
    async validate(key, value) {
      if (value.byteLength > MAX_RECORD_BYTES) throw new InvalidObjectError("A head record is over 2 KiB.");
      const { value: record } = await HeadRecord.open(value);
      if (headKey(record.run, record.module) !== key)
        throw new InvalidObjectError("A head record is stored under another key.");
      const known = newest.peek(key);
      if (known !== undefined && namesBetterHead(known, headOf(record)))
        throw new OutdatedError(`A newer head of ${record.module} is known already.`);
      newest.set(key, record);
    },
    select(_key, values) {
      const records = values.map((value) => HeadRecord.peek(value));
      return records.reduce(
        (best, record, index) => (namesBetterHead(record, headOf(records[best]!)) ? index : best),
        0,
      );
    },
  };
}
