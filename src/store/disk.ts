/** Everything that a peer has on disk: blocks, the database with what is retained, and state files. No network. */
import type { Clock } from "../clock.ts";
import { type Logger, silentLogger } from "../log.ts";
import { CheckedBlockstore } from "./blockstore.ts";
import { BLOCKS } from "./layout.ts";
import type { Database, Files } from "./ports.ts";
import { Quota, type QuotaOptions } from "./quota.ts";
import { openRetention, type Retention } from "./retention.ts";
import { createStateFiles, STATE, type StateFiles } from "./state.ts";
import { storageError } from "./storage-error.ts";

export interface Disk {
  blocks: CheckedBlockstore;
  retention: Retention;
  state: StateFiles;
}

export interface DiskInit {
  files: Files;
  database: Database;
  clock: Clock;
  log?: Logger | undefined;
  /** How much may be stored; without it only the disk sets a limit. */
  quota?: QuotaOptions | undefined;
}

/** Reads back what the disk holds. Throws StorageError when it refuses. */
export async function openDisk(init: DiskInit): Promise<Disk> {
  const { files, database, clock, log = silentLogger, quota } = init;
  try {
    const blocks = new CheckedBlockstore(files, log);
    const state = createStateFiles(files, () => blocks.quota);
    const retention = await openRetention({ files, database, blocks, clock });
    if (!retention.complete)
      log.warn(`the database in ${files.name} is damaged or lost; what it held is read back from the blocks`);
    if (quota !== undefined)
      blocks.quota = new Quota({
        directory: files.name,
        maxBytes: quota.maxBytes,
        used: (await sizeOf(files, BLOCKS)) + (await sizeOf(files, STATE)),
        clock,
        reclaim: quota.reclaim ? () => retention.sweep() : undefined,
      });
    return { blocks, retention, state };
  } catch (error) {
    throw storageError(error, files.name);
  }
}

/** Bytes of all files below a folder. */
async function sizeOf(files: Files, folder: string): Promise<number> {
  let total = 0;
  for await (const path of files.list(folder)) total += (await files.facts(path))?.bytes ?? 0;
  return total;
}
