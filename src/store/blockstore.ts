/** Blocks in files, checked against their hash whenever they are read, by us or for a peer. */
import type { CID } from "multiformats/cid";
import { InvalidObjectError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { type Block, matches, MAX_BLOCK_BYTES } from "../objects/object.ts";
import { blockAt, blockKey, blockPath, BLOCKS } from "./layout.ts";
import type { FileFacts, Files } from "./ports.ts";
import type { Quota } from "./quota.ts";
import { hasCode, storageError } from "./storage-error.ts";

const SYNCS_AT_ONCE = 8;

export class CheckedBlockstore {
  /** Room for blocks; without one only the disk sets a limit. */
  quota: Quota | undefined;
  /** Where else a block may be had on this disk when its file is gone or corrupt. */
  spare: ((cid: CID) => Promise<Uint8Array | undefined>) | undefined;
  /** By `blockKey`: whether somebody retains the block. Such a one was flushed, or is when it comes. */
  pinned: ((key: string) => boolean) | undefined;
  /** Blocks that this process wrote or read, by `blockKey`. */
  readonly #sound = new Set<string>();
  /** Blocks that this process flushed, by `blockKey`. */
  readonly #synced = new Set<string>();
  /** By `blockKey`: how many writes there were before the last one of a block that is not flushed. */
  readonly #unflushed = new Map<string, number>();
  #writes = 0;
  /** By `blockKey`: the last write that is under way. */
  readonly #writing = new Map<string, Promise<void>>();
  readonly #files: Files;
  readonly #log: Logger;
  #bytesServed = 0;

  constructor(files: Files, log: Logger) {
    this.#files = files;
    this.#log = log;
  }

  /** Bytes read through `serve`. */
  get bytesServed(): number {
    return this.#bytesServed;
  }

  /**
   * Whether the block is there. One that nobody retains, and that this process neither wrote nor read, is read: a loss of
   * power may have cut it short.
   */
  async has(cid: CID): Promise<boolean> {
    const key = blockKey(cid);
    if (this.#sound.has(key) || this.pinned?.(key) === true) return (await this.facts(cid)) !== undefined;
    return (await this.read(cid)) !== undefined;
  }

  facts(cid: CID): Promise<FileFacts | undefined> {
    return this.#trying(this.#files.facts(blockPath(cid)));
  }

  /** Reads a block for another peer. */
  async serve(cid: CID): Promise<Uint8Array | undefined> {
    const bytes = await this.read(cid);
    this.#bytesServed += bytes?.byteLength ?? 0;
    return bytes;
  }

  /** A block that does not match its CID is deleted, and is as if it had never been there, if there is no spare. */
  async read(cid: CID): Promise<Uint8Array | undefined> {
    const bytes = await this.#trying(this.#files.read(blockPath(cid)));
    if (bytes !== undefined && bytes.byteLength <= MAX_BLOCK_BYTES && matches(cid, bytes)) {
      this.#sound.add(blockKey(cid));
      return bytes;
    }
    const spare = await this.spare?.(cid);
    if (bytes !== undefined) {
      const next = spare === undefined ? "deleted and will be fetched again" : "written again";
      this.#log.warn(`the block ${cid.toString()} on disk is corrupt; it is ${next}`);
      await this.delete(cid);
    }
    if (spare !== undefined) await this.put(cid, spare);
    return spare;
  }

  async delete(cid: CID): Promise<void> {
    const size = this.quota === undefined ? 0 : ((await this.facts(cid))?.bytes ?? 0);
    await this.#trying(this.#files.remove(blockPath(cid)));
    for (const keys of [this.#unflushed, this.#synced, this.#sound]) keys.delete(blockKey(cid));
    this.quota?.free(size);
  }

  /** One write of a block after the other. */
  async put(cid: CID, bytes: Uint8Array): Promise<void> {
    if (bytes.byteLength > MAX_BLOCK_BYTES)
      throw new InvalidObjectError(
        `The block ${cid.toString()} of ${bytes.byteLength} bytes is over the limit of 1 MiB.`,
      );
    const key = blockKey(cid);
    const earlier = this.#writing.get(key) ?? Promise.resolve();
    const writing = earlier.catch(() => {}).then(() => this.#put(cid, bytes));
    this.#writing.set(key, writing);
    try {
      await writing;
    } finally {
      if (this.#writing.get(key) === writing) this.#writing.delete(key);
    }
  }

  async #put(cid: CID, bytes: Uint8Array): Promise<void> {
    const key = blockKey(cid);
    const isThere = (await this.facts(cid)) !== undefined;
    const size = isThere ? 0 : bytes.byteLength;
    await this.quota?.reserve(size);
    try {
      // A block that somebody counts on is whole, or not there.
      const flush = isThere || this.pinned?.(key) === true;
      if (!flush) {
        this.#unflushed.set(key, this.#writes++);
        this.#synced.delete(key);
      }
      await this.#trying(this.#files.write(blockPath(cid), bytes, { flush }));
      this.#sound.add(key);
    } catch (error) {
      this.quota?.free(size);
      throw error;
    }
  }

  /** Writes blocks that survive a loss of power. */
  async write(list: readonly Block[]): Promise<void> {
    for (const { cid, bytes } of list) await this.put(cid, bytes);
    await this.flush(list.map(({ cid }) => cid));
  }

  /** Resolves when all of these that were written would survive a loss of power. */
  async flush(cids: Iterable<CID>): Promise<void> {
    // What an earlier process wrote, and was killed before it flushed it, may still be in memory only.
    const isFlushed = (key: string): boolean => this.#synced.has(key) || this.pinned?.(key) === true;
    const list = [...cids].filter((cid) => this.#unflushed.has(blockKey(cid)) || !isFlushed(blockKey(cid)));
    for (let at = 0; at < list.length; at += SYNCS_AT_ONCE)
      await Promise.all(list.slice(at, at + SYNCS_AT_ONCE).map((cid) => this.#sync(cid)));
  }

  async #sync(cid: CID): Promise<void> {
    const key = blockKey(cid);
    const written = this.#unflushed.get(key);
    try {
      await this.#files.sync(blockPath(cid));
    } catch (error) {
      // It was corrupt or not needed, and is deleted.
      if (!hasCode(error, "ENOENT")) throw storageError(error, `${this.#files.name}/${BLOCKS}`);
    }
    // Who has written it meanwhile has to flush it once more.
    if (this.#unflushed.get(key) !== written) return;
    this.#unflushed.delete(key);
    this.#synced.add(key);
  }

  /** Every block, in any order, as a CID of its hash without its codec. */
  async *cids(): AsyncGenerator<CID> {
    for await (const path of this.#files.list(BLOCKS)) {
      const cid = blockAt(path);
      if (cid !== undefined) yield cid;
    }
  }

  async #trying<T>(task: Promise<T>): Promise<T> {
    try {
      return await task;
    } catch (error) {
      throw storageError(error, `${this.#files.name}/${BLOCKS}`);
    }
  }
}
