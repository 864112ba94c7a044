/** The real disk: files of a folder, and a LevelDB database in it. One process at a time. */
import { mkdir, open, readdir, readFile, rm, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { LevelDatastore } from "datastore-level";
import { removeUnfinished, writeAtomically } from "./atomic-file.ts";
import { BLOCKS } from "./layout.ts";
import type { Database, Files } from "./ports.ts";
import { STATE } from "./state.ts";
import { hasCode, storageError } from "./storage-error.ts";

export interface Directory {
  files: Files;
  database: Database;
  /** The same database, for libp2p, which keeps its peers and records there under keys of its own. */
  datastore: LevelDatastore;
  close(): Promise<void>;
}

/**
 * Opens a folder, or makes it, and removes what a killed process had not finished. Throws StorageError when it is locked,
 * full, read-only, damaged or otherwise refuses.
 */
export async function openDirectory(directory: string): Promise<Directory> {
  const datastore = new LevelDatastore(join(directory, "data"));
  const close = (): Promise<void> => datastore.db.close();
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    // Not datastore.open(), which drops the reason.
    await datastore.db.open({ createIfMissing: true });
    try {
      for (const folder of [BLOCKS, STATE])
        await mkdir(join(directory, folder), { recursive: true, mode: 0o700 });
      // The database's lock is held, so no other process is writing these.
      await removeUnfinished(directory);
      for (const entry of await readdir(directory, { withFileTypes: true }))
        if (entry.isDirectory()) await removeUnfinished(join(directory, entry.name));
    } catch (error) {
      await close();
      throw error;
    }
  } catch (error) {
    throw storageError(error, directory);
  }
  return { files: filesOf(directory), database: databaseOf(datastore.db), datastore, close };
}

/** Undefined where the file system says that there is no such file. */
async function orAbsent<T>(task: Promise<T>): Promise<T | undefined> {
  try {
    return await task;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** The files of a folder as they lie there. Reading takes no lock. */
export function filesOf(directory: string): Files {
  const at = (path: string): string => join(directory, ...path.split("/"));
  return {
    name: directory,
    read: (path) => orAbsent(readFile(at(path))),
    async write(path, bytes, { flush }) {
      const [top, ...below] = path.split("/");
      const folder = below.length === 0 ? directory : join(directory, top!);
      if (below.length > 0) await mkdir(join(at(path), ".."), { recursive: true, mode: 0o700 });
      await writeAtomically(at(path), bytes, { flush, temporary: folder });
    },
    async sync(path) {
      const file = await open(at(path), "r+");
      try {
        // Not datasync, which may leave out the file's new name.
        await file.sync();
      } finally {
        await file.close();
      }
    },
    remove: (path) => rm(at(path), { force: true }),
    async facts(path) {
      const facts = await orAbsent(stat(at(path)));
      return facts && { bytes: facts.size, modified: facts.mtimeMs };
    },
    async *list(folder) {
      const top = at(folder);
      const folders = [top];
      for (let next = folders.pop(); next !== undefined; next = folders.pop())
        for (const entry of (await orAbsent(readdir(next, { withFileTypes: true }))) ?? []) {
          const path = join(next, entry.name);
          if (entry.isDirectory()) folders.push(path);
          else if (entry.isFile()) yield relative(directory, path).split(sep).join("/");
        }
    },
  };
}

function databaseOf(level: LevelDatastore["db"]): Database {
  return {
    get: (key) => level.get(key),
    async batch(changes, options) {
      const operations = [...changes].map(([key, value]) =>
        value === undefined ? { type: "del" as const, key } : { type: "put" as const, key, value },
      );
      await level.batch(operations, options);
    },
    entries: (prefix) => level.iterator({ gte: prefix, lt: `${prefix}\xFF` }),
  };
}
