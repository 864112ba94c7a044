/** A folder that a command makes is gone again if the command fails. */
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { storageError } from "../src/store/storage-error.ts";

/** Blocks may still be on their way to the disk. */
const REMOVAL = { recursive: true, force: true, maxRetries: 5, retryDelay: 100 } as const;

/** A folder, and what it held before. */
export interface NewFolder {
  /** Whether it was not there, or empty: then all it holds is the command's own. */
  readonly isNew: boolean;
  /** Removes what has come since. While `isNew` is false, only the holder of the folder's lock may call it. */
  undo(): Promise<void>;
}

/** Makes a folder, with those above it, if it is not there. Throws StorageError. */
export async function openNewFolder(path: string): Promise<NewFolder> {
  try {
    const first = await mkdir(path, { recursive: true });
    const before = new Set(await readdir(path));
    return {
      isNew: before.size === 0,
      async undo() {
        if (first !== undefined) return rm(first, REMOVAL);
        for (const entry of await readdir(path)) if (!before.has(entry)) await rm(join(path, entry), REMOVAL);
      },
    };
  } catch (error) {
    throw storageError(error, path);
  }
}
