/**
 * The blocks of a data folder as they lie there. No lock is taken and nothing is written, so that the peer of the folder
 * may run meanwhile; what it deletes is gone here, too.
 */
import type { CID } from "multiformats/cid";
import { UnavailableError } from "../errors.ts";
import { matches, MAX_BLOCK_BYTES } from "../objects/object.ts";
import { filesOf } from "./directory.ts";
import { blockAt, blockPath, BLOCKS } from "./layout.ts";
import { storageError } from "./storage-error.ts";
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
  const files = filesOf(directory);
  const absent = (cid: CID): UnavailableError =>
    new UnavailableError(`The block ${cid.toString()} is not in ${directory}.`);

  async function trying<T>(task: Promise<T>): Promise<T> {
    try {
      return await task;
    } catch (error) {
      throw storageError(error, directory);
    }
  }

  return {
    async get(cid) {
      const bytes = await trying(files.read(blockPath(cid)));
      if (bytes === undefined || bytes.byteLength > MAX_BLOCK_BYTES || !matches(cid, bytes))
        throw absent(cid);
      return bytes;
    },
    async fetch(cids) {
      // Before much is read.
      for (const cid of cids)
        if ((await trying(files.facts(blockPath(cid)))) === undefined) throw absent(cid);
    },
    async *small() {
      for await (const path of files.list(BLOCKS)) {
        if (blockAt(path) === undefined) continue;
        const size = (await trying(files.facts(path)))?.bytes;
        if (size === undefined || size >= MAX_BLOCK_BYTES) continue;
        const bytes = await trying(files.read(path));
        if (bytes !== undefined) yield bytes;
      }
    },
  };
}
