/** Blocks in files, checked against their hash whenever they are read, by us or for a peer. */
import { mkdir, open, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { FsBlockstore } from "blockstore-fs";
import { NextToLast } from "blockstore-fs/sharding";
import { NotFoundError } from "@libp2p/interface";
import type { CID } from "multiformats/cid";
import { InvalidObjectError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { type Block, matches, MAX_BLOCK_BYTES } from "../objects/object.ts";
import { writeAtomically } from "./atomic-file.ts";
import { type Quota, sizeOfFile } from "./quota.ts";
import { hasCode, storageError } from "./storage-error.ts";

const SYNCS_AT_ONCE = 8;

export class CheckedBlockstore extends FsBlockstore {
  /** Room for blocks; without one only the disk sets a limit. */
  quota: Quota | undefined;
  readonly #sharding = new NextToLast();
  readonly #log: Logger;
  #bytesServed = 0;

  constructor(path: string, log: Logger) {
    super(path);
    this.#log = log;
  }

  /** Bytes read through `get`, which only block exchange uses. */
  get bytesServed(): number {
    return this.#bytesServed;
  }

  fileOf(cid: CID): string {
    const { dir, file } = this.#sharding.encode(cid);
    return join(this.path, dir, file);
  }

  /** A block that does not match its CID is deleted, and is as if it had never been there. */
  override async *get(cid: CID): AsyncGenerator<Uint8Array> {
    const bytes = await this.read(cid);
    if (bytes === undefined) throw new NotFoundError(`${cid.toString()} is not on this disk`);
    this.#bytesServed += bytes.byteLength;
    yield bytes;
  }

  async read(cid: CID): Promise<Uint8Array | undefined> {
    let bytes: Buffer;
    try {
      bytes = await readFile(this.fileOf(cid));
    } catch (error) {
      if (hasCode(error, "ENOENT")) return undefined;
      throw storageError(error, this.path);
    }
    if (bytes.byteLength <= MAX_BLOCK_BYTES && matches(cid, bytes)) return bytes;
    this.#log.warn(`the block ${cid.toString()} on disk is corrupt; it is deleted and will be fetched again`);
    await this.delete(cid);
    return undefined;
  }

  override async delete(cid: CID): Promise<void> {
    const size = this.quota === undefined ? 0 : await sizeOfFile(this.fileOf(cid));
    try {
      await super.delete(cid);
      this.quota?.free(size);
    } catch (error) {
      throw storageError(error, this.path);
    }
  }

  override async put(cid: CID, bytes: Uint8Array): Promise<CID> {
    if (bytes.byteLength > MAX_BLOCK_BYTES)
      throw new InvalidObjectError(
        `The block ${cid.toString()} of ${bytes.byteLength} bytes is over the limit of 1 MiB.`,
      );
    const file = this.fileOf(cid);
    const size = this.quota === undefined || (await this.has(cid)) ? 0 : bytes.byteLength;
    await this.quota?.reserve(size);
    try {
      await mkdir(dirname(file), { recursive: true });
      // Not super.put(): two of it for one block write into the same unfinished file.
      await writeAtomically(file, bytes, { flush: false, temporary: this.path });
      return cid;
    } catch (error) {
      this.quota?.free(size);
      throw storageError(error, this.path);
    }
  }

  /** Writes blocks that survive a loss of power. */
  async write(list: readonly Block[]): Promise<void> {
    for (const { cid, bytes } of list) await this.put(cid, bytes);
    for (let at = 0; at < list.length; at += SYNCS_AT_ONCE)
      await Promise.all(list.slice(at, at + SYNCS_AT_ONCE).map(({ cid }) => this.sync(cid)));
  }

  /** Waits until the block would survive a loss of power. */
  async sync(cid: CID): Promise<void> {
    try {
      const file = await open(this.fileOf(cid), "r+");
      try {
        // Not datasync, which may leave out the file's new name.
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      throw storageError(error, this.path);
    }
  }
}
