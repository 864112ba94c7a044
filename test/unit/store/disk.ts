/** A real store on a real disk that reaches no other peer, and ways to damage it. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CID } from "multiformats/cid";
import { type Logger, silentLogger } from "../../../src/log.ts";
import { CheckedBlockstore } from "../../../src/store/blockstore.ts";
import { type Disk, openDisk } from "../../../src/store/disk.ts";
import type { BlockSource } from "../../../src/store/fetch-job.ts";
import { createPacks } from "../../../src/store/pack.ts";
import { createStore } from "../../../src/store/store.ts";
import type { Store } from "../../../src/store/types.ts";
import type { Packs } from "../../../src/swarm/types.ts";

export interface OpenStore {
  dir: string;
  disk: Disk;
  store: Store;
  packs: Packs;
  close(): Promise<void>;
}

/** Nobody is there. */
const NOBODY: BlockSource = {
  connect: () => Promise.reject(new Error("nobody is there")),
  ask: () => Promise.reject(new Error("nobody is there")),
  onLost: () => () => {},
  async *search() {},
};

export async function openStore(dir: string, log: Logger = silentLogger): Promise<OpenStore> {
  const disk = await openDisk(dir, log);
  const store = createStore({ ...disk, source: NOBODY });
  return { dir, disk, store, packs: createPacks(store), close: () => disk.close() };
}

/** Where a block lies under a peer's directory. */
export function fileOf(dir: string, cid: CID): string {
  return new CheckedBlockstore(join(dir, "blocks"), silentLogger).fileOf(cid);
}

/** Flips one bit in the middle of a block on disk. */
export async function flipBit(dir: string, cid: CID): Promise<void> {
  const file = fileOf(dir, cid);
  const bytes = await readFile(file);
  bytes[bytes.length >> 1]! ^= 4;
  await writeFile(file, bytes);
}
