/** Small durable values in files: replaced atomically, readable by the user only. */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import writeFileAtomic from "write-file-atomic";
import { hasCode, storageError } from "./storage-error.ts";

export interface StateFiles {
  read(name: string): Promise<Uint8Array | undefined>;
  write(name: string, bytes: Uint8Array): Promise<void>;
}

export async function openStateFiles(directory: string): Promise<StateFiles> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const fileOf = (name: string): string => join(directory, `${encodeURIComponent(name)}.bin`);
  return {
    async read(name) {
      try {
        return await readFile(fileOf(name));
      } catch (error) {
        if (hasCode(error, "ENOENT")) return undefined;
        throw storageError(error, directory);
      }
    },
    async write(name, bytes) {
      try {
        await writeFileAtomic(fileOf(name), bytes, { mode: 0o600 });
      } catch (error) {
        throw storageError(error, directory);
      }
    },
  };
}
