/** Blocks in files, checked against their hash whenever they are read, by us or for a peer. */
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { FsBlockstore } from "blockstore-fs";
import { NextToLast } from "blockstore-fs/sharding";
import { NotFoundError } from "@libp2p/interface";
import type { CID } from "multiformats/cid";
import { InvalidObjectError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { matches, MAX_BLOCK_BYTES } from "../objects/object.ts";
import { hasCode, storageError } from "./storage-error.ts";

export class CheckedBlockstore extends FsBlockstore {
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

  override async put(cid: CID, bytes: Uint8Array): Promise<CID> {
    if (bytes.byteLength > MAX_BLOCK_BYTES)
      throw new InvalidObjectError(
        `The block ${cid.toString()} of ${bytes.byteLength} bytes is over the limit of 1 MiB.`,
      );
    try {
      return await super.put(cid, bytes);
    } catch (error) {
      throw storageError(error, this.path);
    }
  }

  /** Waits until the block would survive a loss of power. */
  async sync(cid: CID): Promise<void> {
    const file = await open(this.fileOf(cid), "r+");
    try {
      await file.datasync();
    } finally {
      await file.close();
    }
  }
}
