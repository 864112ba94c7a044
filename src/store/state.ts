/** Small durable values in files: replaced atomically. */
import type { Files } from "./ports.ts";
import type { Quota } from "./quota.ts";
import { storageError } from "./storage-error.ts";

export const STATE = "state";

export interface StateFiles {
  read(name: string): Promise<Uint8Array | undefined>;
  write(name: string, bytes: Uint8Array): Promise<void>;
}

export function createStateFiles(files: Files, quota?: () => Quota | undefined): StateFiles {
  const pathOf = (name: string): string => `${STATE}/${encodeURIComponent(name)}.bin`;
  const folder = `${files.name}/${STATE}`;
  return {
    async read(name) {
      try {
        return await files.read(pathOf(name));
      } catch (error) {
        throw storageError(error, folder);
      }
    },
    async write(name, bytes) {
      const room = quota?.();
      const before = room === undefined ? 0 : ((await files.facts(pathOf(name)))?.bytes ?? 0);
      // While it is written the old one is there, too.
      await room?.reserve(bytes.byteLength);
      try {
        await files.write(pathOf(name), bytes, { flush: true });
        room?.free(before);
      } catch (error) {
        room?.free(bytes.byteLength);
        throw storageError(error, folder);
      }
    },
  };
}
