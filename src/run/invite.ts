/**
 * An invite is all that a joiner needs, as one string: `pathweave1` (the 1 is the format), then base32 of
 * a dag-cbor map `{ run, bootstrap, swarmKey? }` and the first 5 bytes of its sha2-256.
 */
import { createHash } from "node:crypto";
import * as dagCbor from "@ipld/dag-cbor";
import { multiaddr } from "@multiformats/multiaddr";
import { base32 } from "multiformats/bases/base32";
import type { CID } from "multiformats/cid";
import { z } from "zod";
import { InviteError, messageOf } from "../errors.ts";
import { bytesSchema, cidSchema } from "../objects/object.ts";

export interface Invite {
  /** The run id: CID of the manifest. */
  run: CID;
  /** Multiaddrs of peers or bootstrap nodes to dial first. */
  bootstrap: string[];
  /** Contents of a libp2p swarm key; absent in an open swarm. */
  swarmKey?: Uint8Array;
}

const PREFIX = "pathweave";
const FORMAT = "1";
const CHECKSUM_BYTES = 5;
const MAX_ADDRESSES = 32;
const MAX_ADDRESS_BYTES = 512;
const MAX_KEY_BYTES = 1024;
const MAX_CHARACTERS = 32_768;
const MAX_SHOWN = 24;

const sized = (max: number): z.ZodType<Uint8Array> =>
  bytesSchema.refine(
    (bytes) => bytes.byteLength > 0 && bytes.byteLength <= max,
    `expected 1 to ${max} bytes`,
  );

const DAG_CBOR = 0x71;
const SHA2_256 = 0x12;
const runSchema = cidSchema.refine(
  ({ code, multihash }) => code === DAG_CBOR && multihash.code === SHA2_256,
  "expected the CID of a manifest",
);

const payloadSchema = z.strictObject({
  run: runSchema,
  bootstrap: z.array(sized(MAX_ADDRESS_BYTES)).max(MAX_ADDRESSES),
  swarmKey: sized(MAX_KEY_BYTES).optional(),
});

function checksum(payload: Uint8Array): Uint8Array {
  return createHash("sha256").update("pathweave-invite").update(payload).digest().subarray(0, CHECKSUM_BYTES);
}

/** Writes an invite. Throws InviteError when an address is not a multiaddr or there are more than 32. */
export function encodeInvite(invite: Invite): string {
  let payload: Uint8Array;
  try {
    const checked = payloadSchema.parse({
      run: invite.run,
      bootstrap: invite.bootstrap.map((address) => multiaddr(address).bytes),
      ...(invite.swarmKey === undefined ? {} : { swarmKey: invite.swarmKey }),
    });
    payload = dagCbor.encode(checked);
  } catch (error) {
    throw new InviteError(`No invite can be made of these addresses: ${explain(error)}.`);
  }
  return PREFIX + FORMAT + base32.baseEncode(Buffer.concat([payload, checksum(payload)]));
}

/** Whether a word is meant as an invite of this format rather than as a name; it may still be mistyped. */
export function isInvite(text: string): boolean {
  return text.trim().startsWith(PREFIX + FORMAT);
}

/**
 * Reads an invite; white space, which terminals and mail insert, does not count. Throws InviteError, which
 * tells a truncated or mistyped invite from one of a later format and from something else altogether.
 */
export function decodeInvite(text: string): Invite {
  if (text.length > MAX_CHARACTERS)
    throw new InviteError(`An invite of ${text.length} characters is too long; copy only the invite.`);
  const [, format, data] = /^pathweave(\d{1,4})([a-z2-7]*)$/.exec(text.replaceAll(/\s+/g, "")) ?? [];
  if (format === undefined || data === undefined) {
    if (text.trim().startsWith(PREFIX)) throw mistyped("it has characters that no invite has");
    // What is longer may be a part of an invite, with a part of its key.
    const shown = text.trim().length > MAX_SHOWN ? "" : `: "${printable(text)}"`;
    throw new InviteError(
      `Not an invite${shown}. An invite starts with ${PREFIX}${FORMAT}; ask for one from a peer of the run.`,
    );
  }
  // A 2 to 7 right after the format is a base32 digit, hence no comparison of the whole number.
  if (!format.startsWith(FORMAT))
    throw new InviteError(
      `This invite has format ${format}; this Pathweave reads format ${FORMAT}. Update Pathweave.`,
    );

  let bytes: Uint8Array;
  try {
    bytes = base32.baseDecode(format.slice(FORMAT.length) + data);
  } catch (error) {
    throw mistyped(messageOf(error));
  }
  const payload = bytes.subarray(0, -CHECKSUM_BYTES);
  if (Buffer.compare(checksum(payload), bytes.subarray(-CHECKSUM_BYTES)) !== 0)
    throw mistyped("its checksum does not match");

  try {
    const { run, bootstrap, swarmKey } = payloadSchema.parse(dagCbor.decode(payload));
    const addresses = bootstrap.map((address) => multiaddr(address).toString());
    return { run, bootstrap: addresses, ...(swarmKey === undefined ? {} : { swarmKey }) };
  } catch (error) {
    throw new InviteError(`This invite is malformed: ${explain(error)}. Ask for a new one.`);
  }
}

function mistyped(reason: string): InviteError {
  return new InviteError(`This invite is truncated or mistyped: ${reason}; copy all of it again.`);
}

function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]+/g, " ").trim();
}

function explain(error: unknown): string {
  if (!(error instanceof z.ZodError)) return messageOf(error).replace(/\.$/, "");
  const issue = error.issues[0];
  return `${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}`.trim();
}
