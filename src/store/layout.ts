/** Where blocks lie among a peer's files: as `blockstore-fs` lays them out, so that other tools find them. */
import { base32upper } from "multiformats/bases/base32";
import { CID } from "multiformats/cid";

export const BLOCKS = "blocks";
const EXTENSION = ".data";

/** The path of a block's file, relative to the data folder; of its hash alone, whatever codec the CID names. */
export function blockPath({ multihash }: CID): string {
  const name = base32upper.encode(multihash.bytes);
  return `${BLOCKS}/${name.slice(-2)}/${name}${EXTENSION}`;
}

/** What tells blocks apart, and not the codecs that their CIDs name. */
export function blockKey({ multihash }: CID): string {
  return Buffer.from(multihash.bytes).toString("base64");
}

/** The block of a key, as a CID of its hash without its codec. */
export function blockOf(key: string): CID {
  return CID.decode(Buffer.from(key, "base64"));
}

/** The block of a file, as a CID of its hash without its codec; undefined for another file. */
export function blockAt(path: string): CID | undefined {
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (!name.endsWith(EXTENSION)) return undefined;
  try {
    return CID.decode(base32upper.decode(name.slice(0, -EXTENSION.length)));
  } catch {
    return undefined;
  }
}
