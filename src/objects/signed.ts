/**
 * Signed envelopes: a dag-cbor node `{ statement, publicKey, signature }` whose signature covers the kind and the
 * statement's own encoding, in the manner of libp2p RFC 0002. The statement is a node, no bytes, so that its links are
 * links of the envelope. Ed25519 is deterministic, so one statement of one peer has one CID.
 */
import { createHash } from "node:crypto";
import * as dagCbor from "@ipld/dag-cbor";
import { publicKeyFromProtobuf, publicKeyToProtobuf } from "@libp2p/crypto/keys";
import type { Ed25519PublicKey, PrivateKey } from "@libp2p/interface";
import { peerIdFromPublicKey } from "@libp2p/peer-id";
import { z } from "zod";
import { boundedMap } from "../bounded-map.ts";
import { InvalidObjectError } from "../errors.ts";
import { type Block, bytesSchema, defineObject } from "./object.ts";

const envelopeSchema = z.strictObject({
  statement: z.custom<object>((value) => typeof value === "object" && value !== null),
  publicKey: bytesSchema,
  signature: bytesSchema,
});

const ED25519_SIGNATURE_BYTES = 64;
/** Signatures that were verified last and are not again: a record comes by gossip, and again from whoever is asked. */
const verified = boundedMap<string, true>(4096);

/** The key, or undefined when it is not an Ed25519 key in its canonical encoding: others would give one statement many CIDs. */
function parseKey(bytes: Uint8Array): Ed25519PublicKey | undefined {
  try {
    const key = publicKeyFromProtobuf(bytes);
    return key.type === "Ed25519" && Buffer.compare(publicKeyToProtobuf(key), bytes) === 0 ? key : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the signature is the key's. Keys that are no point of the curve make libraries throw. */
async function isSigned(
  key: Ed25519PublicKey,
  statement: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  if (signature.byteLength !== ED25519_SIGNATURE_BYTES) return false;
  // Key and signature have one length each, so nothing else gives these bytes.
  const claim = createHash("sha256").update(key.raw).update(signature).update(statement).digest("base64");
  try {
    const signed = await (verified.get(claim) ?? key.verify(statement, signature));
    if (signed) verified.set(claim, true);
    return signed;
  } catch {
    return false;
  }
}

/** What a verified envelope says and which peer said it. */
export interface Signed<T> {
  value: T;
  /** Peer id (base58btc) of the signer. */
  signer: string;
}

export interface SignedKind<T> {
  readonly kind: string;
  /** Signs and encodes a value. */
  seal(value: T, key: PrivateKey): Promise<Block>;
  /** Verifies and decodes hostile bytes. Throws InvalidObjectError. */
  open(bytes: Uint8Array): Promise<Signed<T>>;
  /** What `open` said of these bytes before, without verifying anew; it takes a tenth of the time. Throws InvalidObjectError. */
  recall(bytes: Uint8Array): Signed<T>;
  /** Decodes without verifying who signed; for bytes that `open` has accepted. Throws InvalidObjectError. */
  peek(bytes: Uint8Array): T;
}

/** Defines a kind of signed object. */
export function defineSigned<T extends object>(
  kind: string,
  format: number,
  schema: z.ZodType<T>,
  upward: Parameters<typeof defineObject<T>>[3] = [],
): SignedKind<T> {
  const payloads = defineObject<T>(kind, format, schema, upward);
  const envelopes = defineObject(`${kind}/signed`, format, envelopeSchema);
  const signedBytes = (payload: Uint8Array): Uint8Array =>
    Buffer.concat([Buffer.from(`pathweave-signed:${kind}:${payload.byteLength}:`), payload]);
  return {
    kind,
    recall(bytes) {
      const { statement, publicKey } = envelopes.decode(bytes);
      const key = parseKey(publicKey);
      if (key === undefined)
        throw new InvalidObjectError(`Not a valid signed ${kind}: only Ed25519 keys sign.`);
      return {
        value: payloads.decode(dagCbor.encode(statement)),
        signer: peerIdFromPublicKey(key).toString(),
      };
    },
    peek: (bytes) => payloads.decode(dagCbor.encode(envelopes.decode(bytes).statement)),
    async seal(value, key) {
      if (key.type !== "Ed25519") throw new InvalidObjectError(`A ${kind} is signed with an Ed25519 key.`);
      const payload = payloads.encode(value).bytes;
      return envelopes.encode({
        statement: dagCbor.decode<object>(payload),
        publicKey: publicKeyToProtobuf(key.publicKey),
        signature: await key.sign(signedBytes(payload)),
      });
    },
    async open(bytes) {
      const { statement, publicKey, signature } = envelopes.decode(bytes);
      const payload = dagCbor.encode(statement);
      const value = payloads.decode(payload);
      const key = parseKey(publicKey);
      if (key === undefined)
        throw new InvalidObjectError(`Not a valid signed ${kind}: only Ed25519 keys sign.`);
      if (!(await isSigned(key, signedBytes(payload), signature)))
        throw new InvalidObjectError(`Not a valid signed ${kind}: the signature does not match.`);
      return { value, signer: peerIdFromPublicKey(key).toString() };
    },
  };
}
