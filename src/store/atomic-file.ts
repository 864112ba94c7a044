/**
 * Files that are replaced whole: a crash leaves the old content or the new one. `write-file-atomic` does the same, but
 * takes a short write, as a disk that fills up gives, for a success.
 */
import { randomUUID } from "node:crypto";
import { readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

const UNFINISHED = ".unfinished";

export interface AtomicWriteOptions {
  /** @default 0o600 */
  mode?: number;
  /** Whether the content survives a loss of power once this resolves. @default true */
  flush?: boolean;
  /** Where the file lies until it is whole; on the same file system. @default the file's folder */
  temporary?: string;
}

/** Rejects with what the file system said, and leaves nothing behind but the old file. */
export async function writeAtomically(
  file: string,
  bytes: Uint8Array,
  { mode = 0o600, flush = true, temporary = dirname(file) }: AtomicWriteOptions = {},
): Promise<void> {
  const unfinished = join(temporary, `.${basename(file)}.${randomUUID()}${UNFINISHED}`);
  try {
    await writeFile(unfinished, bytes, { mode, flush });
    await rename(unfinished, file);
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => {});
    throw error;
  }
}

/** Removes what a killed process had not finished. Call it when no other process uses the folder. */
export async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await readdir(folder))
    if (name.endsWith(UNFINISHED)) await rm(join(folder, name), { force: true });
}
