/**
 * The blocks of a data folder as they lie there. No lock is taken and nothing is written, so that the peer of the folder
 * may run meanwhile; what it deletes is gone here, too.
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { NextToLast } from "blockstore-fs/sharding";
import type { CID } from "multiformats/cid";
import { UnavailableError } from "../errors.ts";
import { matches, MAX_BLOCK_BYTES } from "../objects/object.ts";
import { hasCode, storageError } from "./storage-error.ts";
import type { Store } from "./types.ts";

export interface StoredBlocks extends Pick<Store, "get" | "fetch"> {
  /**
   * All blocks but those of 1 MiB, which are pieces of something larger, in any order and not checked against their
   * names: what is read here is used by its own hash. Throws StorageError.
   */
  small(): AsyncGenerator<Uint8Array>;
}

/** Reading throws UnavailableError for what is not there or damaged, and StorageError when the disk refuses. */
export function readOnlyBlocks(directory: string): StoredBlocks {
  const folder = join(directory, "blocks");
  const sharding = new NextToLast();

  async function read(file: string): Promise<Uint8Array | undefined> {
    try {
      return await readFile(file);
    } catch (error) {
      if (hasCode(error, "ENOENT")) return undefined;
      throw storageError(error, directory);
    }
  }

  const get = async (cid: CID): Promise<Uint8Array> => {
    const { dir, file } = sharding.encode(cid);
    const bytes = await read(join(folder, dir, file));
    if (bytes === undefined || bytes.byteLength > MAX_BLOCK_BYTES || !matches(cid, bytes))
      throw new UnavailableError(`The block ${cid.toString()} is not in ${directory}.`);
    return bytes;
  };

  return {
    get,
    async fetch(cids) {
      // Before much is read.
      for (const cid of cids) {
        const { dir, file } = sharding.encode(cid);
        if ((await sizeOf(join(folder, dir, file))) === undefined)
          throw new UnavailableError(`The block ${cid.toString()} is not in ${directory}.`);
      }
    },
    async *small() {
      for (const entry of await entriesOf(folder, directory)) {
        if (!entry.isFile() || !entry.name.endsWith(sharding.extension)) continue;
        const file = join(entry.parentPath, entry.name);
        const size = await sizeOf(file);
        if (size === undefined || size >= MAX_BLOCK_BYTES) continue;
        const bytes = await read(file);
        if (bytes !== undefined) yield bytes;
      }
    },
  };
}

async function sizeOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw storageError(error, file);
  }
}

async function entriesOf(folder: string, directory: string) {
  try {
    return await readdir(folder, { recursive: true, withFileTypes: true });
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw storageError(error, directory);
  }
}
