/** Everything that a peer has on disk: blocks, the database with what is retained, and state files. No network. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { LevelDatastore } from "datastore-level";
import { type Logger, silentLogger } from "../log.ts";
import { removeUnfinished } from "./atomic-file.ts";
import { CheckedBlockstore } from "./blockstore.ts";
import { Quota, type QuotaOptions, sizeOfDirectory } from "./quota.ts";
import { openRetention, type Retention } from "./retention.ts";
import { openStateFiles, type StateFiles } from "./state.ts";
import { storageError } from "./storage-error.ts";

export interface Disk {
  blocks: CheckedBlockstore;
  retention: Retention;
  state: StateFiles;
  /** Shared with libp2p, which keeps its peers and records there. */
  datastore: LevelDatastore;
  close(): Promise<void>;
}

/**
 * Opens the directory, or makes it. One process at a time. Throws StorageError when it is locked, full, read-only,
 * damaged or otherwise refuses.
 */
export async function openDisk(
  directory: string,
  log: Logger = silentLogger,
  quota?: QuotaOptions,
): Promise<Disk> {
  const blocks = new CheckedBlockstore(join(directory, "blocks"), log);
  const datastore = new LevelDatastore(join(directory, "data"));
  const database = datastore.db;
  const close = (): Promise<void> => database.close();
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    // Not datastore.open(), which drops the reason.
    await database.open({ createIfMissing: true });
    try {
      await blocks.open();
      const state = await openStateFiles(join(directory, "state"), () => blocks.quota);
      // The database's lock is held, so no other process is writing these.
      for (const folder of [directory, blocks.path, state.path]) await removeUnfinished(folder);
      const retention = await openRetention(database, blocks, join(directory, "changes"));
      if (!retention.complete)
        log.warn(
          `the database in ${directory} is damaged or lost; what it held is read back from the blocks`,
        );
      if (quota !== undefined) {
        const sizes = await Promise.all([blocks.path, state.path].map(sizeOfDirectory));
        blocks.quota = new Quota({
          directory,
          maxBytes: quota.maxBytes,
          used: sizes.reduce((a, b) => a + b),
          reclaim: quota.reclaim ? () => retention.sweep() : undefined,
        });
      }
      return { blocks, datastore, retention, state, close };
    } catch (error) {
      await close();
      throw error;
    }
  } catch (error) {
    throw storageError(error, directory);
  }
}
