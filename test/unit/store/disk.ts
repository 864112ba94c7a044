/** A real store on a real disk that reaches no other peer, and ways to damage it. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CID } from "multiformats/cid";
import { type Logger, silentLogger } from "../../../src/log.ts";
import { systemClock } from "../../../src/clock.ts";
import { openDirectory } from "../../../src/store/directory.ts";
import type { BlockSource } from "../../../src/store/fetch-job.ts";
import { blockPath } from "../../../src/store/layout.ts";
import { createPacks } from "../../../src/store/pack.ts";
import { openStore as openStoreOver } from "../../../src/store/store.ts";
import type { Store } from "../../../src/store/types.ts";
import type { Packs } from "../../../src/swarm/types.ts";

export interface OpenStore {
  dir: string;
  store: Store;
  packs: Packs;
  close(): Promise<void>;
}

/** Nobody is there. */
export const NOBODY: BlockSource = {
  connect: () => Promise.reject(new Error("nobody is there")),
  ask: () => Promise.reject(new Error("nobody is there")),
  onLost: () => () => {},
  async *search() {},
};

export async function openStore(dir: string, log: Logger = silentLogger): Promise<OpenStore> {
  const { files, database, close } = await openDirectory(dir);
  const opening = openStoreOver({ files, database, clock: systemClock, log, source: () => NOBODY });
  const { store } = await opening.catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return { dir, store, packs: createPacks(store), close };
}

/** Where a block lies under a peer's directory. */
export function fileOf(dir: string, cid: CID): string {
  return join(dir, blockPath(cid));
}

/** Flips one bit in the middle of a block on disk. */
export async function flipBit(dir: string, cid: CID): Promise<void> {
  const file = fileOf(dir, cid);
  const bytes = await readFile(file);
  bytes[bytes.length >> 1]! ^= 4;
  await writeFile(file, bytes);
}
