/**
 * A module's head as a signed DHT record, so that a joiner finds the newest lineage even when gossip passed it
 * by. Advisory: it leads to a peer to ask, and a head still has to prove its lineage.
 *
 * Kademlia servers overwrite blindly, so the validator refuses rollbacks (measured: put 5 then 3 reads 3).
 */
import { CID } from "multiformats/cid";
import { z } from "zod";
import { InvalidObjectError, OutdatedError } from "../../errors.ts";
import { cidSchema, countSchema } from "../../objects/object.ts";
import { defineSigned } from "../../objects/signed.ts";
import type { RecordHandler } from "../../net/types.ts";

const headRecordSchema = z.strictObject({
  run: cidSchema,
  module: z.string().min(1).max(64),
  head: cidSchema,
  generation: countSchema,
  tokens: countSchema,
});

export type HeadRecord = z.infer<typeof headRecordSchema>;
export const HeadRecord = defineSigned<HeadRecord>("pathweave/head-record", 1, headRecordSchema);

export const HEAD_NAMESPACE = "pathweave";
const MAX_RECORD_BYTES = 2048;
/** Keys whose newest record a server remembers; the least recently written is forgotten first. */
const MAX_KEYS = 65_536;

/** DHT key of a module's head. */
export function headKey(run: CID, module: string): string {
  return `/${HEAD_NAMESPACE}/${run.toString()}/${module}`;
}

/** Positive when `a` is the better head: more tokens folded, then the lower CID. */
export function compareHeads(a: HeadRecord, b: HeadRecord): number {
  return a.tokens !== b.tokens ? a.tokens - b.tokens : Buffer.compare(b.head.bytes, a.head.bytes);
}

/** Validator and selector of head records, with memory of the newest per key. */
export function headRecords(): RecordHandler {
  const newest = new Map<string, HeadRecord>();
  return {
    async validate(key, value) {
      if (value.byteLength > MAX_RECORD_BYTES) throw new InvalidObjectError("A head record is over 2 KiB.");
      const { value: record } = await HeadRecord.open(value);
      if (headKey(record.run, record.module) !== key)
        throw new InvalidObjectError("A head record is stored under another key.");
      const known = newest.get(key);
      if (known !== undefined && compareHeads(record, known) < 0)
        throw new OutdatedError(`A newer head of ${record.module} is known already.`);
      newest.delete(key);
      newest.set(key, record);
      if (newest.size > MAX_KEYS) newest.delete(newest.keys().next().value!);
    },
    select(_key, values) {
      const records = values.map((value) => HeadRecord.peek(value));
      return records.reduce(
        (best, record, index) => (compareHeads(record, records[best]!) > 0 ? index : best),
        0,
      );
    },
  };
}
