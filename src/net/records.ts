/** DHT records: our RecordHandlers as kad-dht's validators and selectors. */
import type { KadDHTInit } from "@libp2p/kad-dht";
import { InvalidObjectError } from "../errors.ts";
import type { RecordHandler } from "./types.ts";

/** Records are pointers, not data. */
const MAX_RECORD_BYTES = 16 << 10;
const MAX_KEY_BYTES = 256;

/** Namespace of a key: `pathweave-2` of `/pathweave-2/<run>/<module>`. */
export function namespaceOf(key: string): string {
  const [empty, namespace, ...rest] = key.split("/");
  if (empty !== "" || namespace === undefined || rest.length === 0)
    throw new InvalidObjectError(`A record key looks like /namespace/name, not ${key.slice(0, 80)}.`);
  return namespace;
}

/** What kad-dht needs. kad-dht itself caps neither keys nor values. */
export function recordRules(
  records: Record<string, RecordHandler>,
): Required<Pick<KadDHTInit, "validators" | "selectors">> {
  const decoder = new TextDecoder();
  const rules: Required<Pick<KadDHTInit, "validators" | "selectors">> = { validators: {}, selectors: {} };
  for (const [namespace, handler] of Object.entries(records)) {
    rules.validators[namespace] = async (key, value) => {
      checkSize(key, value);
      await handler.validate(decoder.decode(key), value);
    };
    rules.selectors[namespace] = (key, values) => handler.select(decoder.decode(key), values);
  }
  return rules;
}

/** Throws InvalidObjectError when key or value is too large for the DHT. */
export function checkSize(key: Uint8Array, value: Uint8Array): void {
  if (key.byteLength > MAX_KEY_BYTES)
    throw new InvalidObjectError(`A record key of ${key.byteLength} bytes is over ${MAX_KEY_BYTES}.`);
  if (value.byteLength > MAX_RECORD_BYTES)
    throw new InvalidObjectError(`A record of ${value.byteLength} bytes is over ${MAX_RECORD_BYTES}.`);
}

/**
 * For DHT servers that take part in no run, such as bootstrap nodes: they store any record of a permitted
 * size and leave its meaning, signature and age to the reading peers, which check all three. So such a
 * server can serve an old record, never a false one.
 */
export const sizeOnlyRecords: RecordHandler = {
  validate: async () => {},
  select: () => 0,
};
