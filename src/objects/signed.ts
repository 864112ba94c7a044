/**
 * Signed envelopes: a dag-cbor node `{ payload, publicKey, signature }` whose signature covers the
 * kind and the payload bytes, in the manner of libp2p RFC 0002. Ed25519 is deterministic, so one
 * statement of one peer has one CID.
 */
import { publicKeyFromProtobuf, publicKeyToProtobuf } from "@libp2p/crypto/keys";
import type { PrivateKey } from "@libp2p/interface";
import { peerIdFromPublicKey } from "@libp2p/peer-id";
import { z } from "zod";
import { InvalidObjectError, messageOf } from "../errors.ts";
import { type Block, bytesSchema, defineObject } from "./object.ts";

const envelopeSchema = z.strictObject({
  payload: bytesSchema,
  publicKey: bytesSchema,
  signature: bytesSchema,
});

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
}

/** Defines a kind of signed object. */
export function defineSigned<T extends object>(
  kind: string,
  format: number,
  schema: z.ZodType<T>,
): SignedKind<T> {
  const payloads = defineObject<T>(kind, format, schema);
  const envelopes = defineObject(`${kind}/signed`, format, envelopeSchema);
  const statement = (payload: Uint8Array): Uint8Array =>
    Buffer.concat([Buffer.from(`pathweave-signed:${kind}:${payload.byteLength}:`), payload]);
  return {
    kind,
    async seal(value, key) {
      const payload = payloads.encode(value).bytes;
      return envelopes.encode({
        payload,
        publicKey: publicKeyToProtobuf(key.publicKey),
        signature: await key.sign(statement(payload)),
      });
    },
    async open(bytes) {
      const { payload, publicKey, signature } = envelopes.decode(bytes);
      const value = payloads.decode(payload);
      try {
        const key = publicKeyFromProtobuf(publicKey);
        if (key.type !== "Ed25519") throw new InvalidObjectError(`only Ed25519 keys sign, not ${key.type}`);
        if (!(await key.verify(statement(payload), signature)))
          throw new InvalidObjectError("the signature does not match");
        return { value, signer: peerIdFromPublicKey(key).toString() };
      } catch (error) {
        throw new InvalidObjectError(`Not a valid signed ${kind}: ${messageOf(error)}.`);
      }
    },
  };
}
