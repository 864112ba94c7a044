/**
 * What the store needs of a disk. The real one is `directory.ts`, the one of the simulation `src/sim/world/disk.ts`; the
 * store's own rules (retention, quota, state, what is atomic with what) lie above and are the same over both.
 */

/** What is known of a file without reading it. */
export interface FileFacts {
  bytes: number;
  /** Milliseconds since 1970 by the disk's own clock, which may be coarse or another machine's. */
  modified: number;
}

/**
 * The files of one folder, by paths relative to it, with `/`. Rejects with what the file system says: an Error with a
 * `code` such as ENOSPC.
 */
export interface Files {
  /** Where they are, for people. */
  readonly name: string;
  /** Undefined when it is not there. */
  read(path: string): Promise<Uint8Array | undefined>;
  /**
   * Replaces a file whole: a crash leaves the old one or the new one. With `flush` the new one survives a loss of power
   * once this resolves; without, what a loss of power leaves may also be cut short.
   */
  write(path: string, bytes: Uint8Array, options: { flush: boolean }): Promise<void>;
  /** Resolves when the file and its name would survive a loss of power. */
  sync(path: string): Promise<void>;
  /** Removes a file, if it is there. */
  remove(path: string): Promise<void>;
  /** Undefined when it is not there. */
  facts(path: string): Promise<FileFacts | undefined>;
  /** Paths of all files below a folder, in any order; none when the folder is not there. */
  list(folder: string): AsyncIterable<string>;
}

/** A key, and its new value; undefined removes it. */
export type DatabaseChange = readonly [key: string, value: Uint8Array | undefined];

/** An ordered map of small values. */
export interface Database {
  get(key: string): Promise<Uint8Array | undefined>;
  /**
   * Makes changes together: after a crash all of them are there or none. With `sync` they, and all before them, survive a
   * loss of power once this resolves.
   */
  batch(changes: Iterable<DatabaseChange>, options: { sync: boolean }): Promise<void>;
  /** All entries whose key begins so, by key. */
  entries(prefix: string): AsyncIterable<[key: string, value: Uint8Array]>;
}
