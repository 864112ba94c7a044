/**
 * Objects of a run on IPFS: dag-cbor nodes and raw blocks of at most 1 MiB, sha2-256, CIDv1, so that
 * any IPFS implementation can pin and serve them (DESIGN section 5). Hashing is synchronous: the fold
 * and the lineage are pure functions that need CIDs.
 */
import { createHash } from "node:crypto";
import * as dagCbor from "@ipld/dag-cbor";
import { CID } from "multiformats/cid";
import * as Digest from "multiformats/hashes/digest";
import { z } from "zod";
import { InvalidObjectError, messageOf, UnknownFormatError } from "../errors.ts";

export const MAX_BLOCK_BYTES = 1 << 20;
const RAW = 0x55;
const DAG_CBOR = 0x71;
const SHA2_256 = 0x12;

/** One block: its content address and its bytes. */
export interface Block {
  cid: CID;
  bytes: Uint8Array;
}

function address(codec: number, bytes: Uint8Array): CID {
  // Not a Buffer, so that a CID made here and one read from a block are deeply equal.
  const digest = new Uint8Array(createHash("sha256").update(bytes).digest());
  return CID.createV1(codec, Digest.create(SHA2_256, digest));
}

/** A raw block. Throws InvalidObjectError above 1 MiB. */
export function rawBlock(bytes: Uint8Array): Block {
  if (bytes.byteLength > MAX_BLOCK_BYTES)
    throw new InvalidObjectError(`A block of ${bytes.byteLength} bytes is over the limit of 1 MiB.`);
  return { cid: address(RAW, bytes), bytes };
}

/** The CID of a dag-cbor node. */
export function dagCborCid(bytes: Uint8Array): CID {
  return address(DAG_CBOR, bytes);
}

/** What kind of object a node says it is, or undefined; `decode` of that kind checks the rest. */
export function kindOf(bytes: Uint8Array): string | undefined {
  if (bytes.byteLength > MAX_BLOCK_BYTES) return undefined;
  try {
    const { kind } = dagCbor.decode<{ kind?: unknown }>(bytes);
    return typeof kind === "string" ? kind : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the bytes hash to the CID. Only sha2-256 is accepted, so a weaker hash cannot be smuggled in. */
export function matches(cid: CID, bytes: Uint8Array): boolean {
  if (cid.multihash.code !== SHA2_256) return false;
  return createHash("sha256").update(bytes).digest().equals(cid.multihash.digest);
}

/** Cuts bytes into raw blocks of at most `size` bytes. */
export function rawBlocks(bytes: Uint8Array, size: number = MAX_BLOCK_BYTES): Block[] {
  const blocks: Block[] = [];
  for (let at = 0; at < bytes.byteLength; at += size)
    blocks.push(rawBlock(bytes.subarray(at, Math.min(at + size, bytes.byteLength))));
  return blocks;
}

/** CIDv1 with sha2-256, so that an object has one address and every reference can be checked. */
function isAddress(value: unknown): boolean {
  const cid = CID.asCID(value);
  return cid !== null && cid.version === 1 && cid.multihash.code === SHA2_256;
}

/** A CID in a schema. */
export const cidSchema = z.custom<CID>(isAddress, "expected a CIDv1 with sha2-256");
/** A CID of a raw block. */
export const rawCidSchema = z.custom<CID>(
  (value) => isAddress(value) && CID.asCID(value)?.code === RAW,
  "expected the CID of a raw block",
);
export const bytesSchema = z.custom<Uint8Array>((value) => value instanceof Uint8Array, "expected bytes");
/** A non-negative integer that JavaScript holds exactly. */
export const countSchema = z.int().min(0);

/** CIDs, alone, in a list, or in a list of maps, as bytes: nothing that walks links sees them. */
function withoutLinks(value: unknown): unknown {
  const cid = CID.asCID(value);
  if (cid !== null) return cid.bytes;
  if (Array.isArray(value)) return value.map(withoutLinks);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutLinks(inner)]));
}

/** The CIDs that `withoutLinks` has made bytes; what is none is left for the schema to refuse. */
function withCids(value: unknown, depth = 0): unknown {
  if (value instanceof Uint8Array) {
    try {
      return CID.decode(value);
    } catch {
      return value;
    }
  }
  // Hostile nodes may be deep.
  if (typeof value !== "object" || value === null || depth > 2 || CID.asCID(value) !== null) return value;
  if (Array.isArray(value)) return value.map((inner) => withCids(inner, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withCids(inner, depth + 1)]));
}

/** A part of a hostile node for a message. Only texts and numbers: others may be too deep to convert, or refuse it. */
function shown(value: unknown): string {
  return typeof value === "string" || typeof value === "number"
    ? String(value).slice(0, 40)
    : `(${typeof value})`;
}

/** The keys of a value, or of each variant of one. */
type KeysOf<T> = T extends unknown ? keyof T : never;

/** How one kind of object is written and read. */
export interface ObjectKind<T> {
  readonly kind: string;
  /** Encodes to one dag-cbor block; throws InvalidObjectError when the value breaks the schema or the size cap. */
  encode(value: T): Block;
  /**
   * Decodes hostile bytes: size cap, canonical dag-cbor, kind and format, then schema. Throws InvalidObjectError, and
   * UnknownFormatError when a newer Pathweave may have made them.
   */
  decode(bytes: Uint8Array): T;
}

/** Applies a function to some keys of a value. */
function mapKeys(value: object, keys: readonly string[], map: (inner: unknown) => unknown): object {
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, keys.includes(key) ? map(inner) : inner]),
  );
}

/**
 * Defines a kind of object: a dag-cbor map of the value's keys and of `kind` and `format`. Non-canonical
 * encodings are refused, since one value must have one CID. CIDs are links, which whoever pins the object follows; those
 * under the keys `upward` are written as bytes instead, so that no pin walks from there to genesis.
 */
export function defineObject<T extends object>(
  kind: string,
  format: number,
  schema: z.ZodType<T>,
  upward: readonly (string & KeysOf<T>)[] = [],
): ObjectKind<T> {
  const check = (value: unknown): T => {
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    const issue = result.error.issues[0];
    const message =
      `Not a valid ${kind}: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}`.trim() + ".";
    // One of a table of variants that is added to.
    if (issue?.code === "invalid_union" && issue.discriminator !== undefined)
      throw new UnknownFormatError(message);
    throw new InvalidObjectError(message);
  };
  const write = (value: T): Uint8Array => {
    try {
      return dagCbor.encode({ ...mapKeys(value, upward, withoutLinks), kind, format });
    } catch (error) {
      throw new InvalidObjectError(`Not a valid ${kind}: ${messageOf(error)}.`);
    }
  };
  return {
    kind,
    encode(value) {
      const bytes = write(check(value));
      if (bytes.byteLength > MAX_BLOCK_BYTES)
        throw new InvalidObjectError(`A ${kind} of ${bytes.byteLength} bytes is over the limit of 1 MiB.`);
      return { cid: address(DAG_CBOR, bytes), bytes };
    },
    decode(bytes) {
      if (bytes.byteLength > MAX_BLOCK_BYTES)
        throw new InvalidObjectError(`A ${kind} of ${bytes.byteLength} bytes is over the limit of 1 MiB.`);
      let node: unknown;
      try {
        node = dagCbor.decode(bytes);
      } catch (error) {
        throw new InvalidObjectError(`Not a ${kind}: ${messageOf(error)}.`);
      }
      if (typeof node !== "object" || node === null || !("kind" in node) || !("format" in node))
        throw new InvalidObjectError(`Not a ${kind}: the block has no kind.`);
      const { kind: actualKind, format: actualFormat, ...value } = node;
      if (actualKind !== kind)
        throw new InvalidObjectError(`Expected a ${kind}, found a ${shown(actualKind)}.`);
      if (actualFormat !== format)
        throw new UnknownFormatError(
          `This ${kind} has format ${shown(actualFormat)} and this Pathweave reads format ${format}; use the version of Pathweave that made it.`,
        );
      const checked = check(mapKeys(value, upward, withCids));
      if (Buffer.compare(write(checked), bytes) !== 0)
        throw new InvalidObjectError(`Not a valid ${kind}: the encoding is not canonical.`);
      return checked;
    },
  };
}
