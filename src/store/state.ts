/** Small durable values in files: replaced atomically, readable by the user only. */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeAtomically } from "./atomic-file.ts";
import { type Quota, sizeOfFile } from "./quota.ts";
import { hasCode, storageError } from "./storage-error.ts";

export interface StateFiles {
  /** The folder. */
  readonly path: string;
  read(name: string): Promise<Uint8Array | undefined>;
  write(name: string, bytes: Uint8Array): Promise<void>;
}

export async function openStateFiles(path: string, quota?: () => Quota | undefined): Promise<StateFiles> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const fileOf = (name: string): string => join(path, `${encodeURIComponent(name)}.bin`);
  return {
    path,
    async read(name) {
      try {
        return await readFile(fileOf(name));
      } catch (error) {
        if (hasCode(error, "ENOENT")) return undefined;
        throw storageError(error, path);
      }
    },
    async write(name, bytes) {
      const room = quota?.();
      const before = room === undefined ? 0 : await sizeOfFile(fileOf(name));
      // While it is written the old one is there, too.
      await room?.reserve(bytes.byteLength);
      try {
        await writeAtomically(fileOf(name), bytes);
        room?.free(before);
      } catch (error) {
        room?.free(bytes.byteLength);
        throw storageError(error, path);
      }
    },
  };
}
