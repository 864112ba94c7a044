/**
 * A disk in memory, for the store's own code, with the faults of a real one: it loses what was not flushed, fills up,
 * flips bits, is lost whole and is copied. Each process that uses it has handles of its own, which a kill makes
 * deaf: whatever it was doing never comes back to it, as if it had never gone on.
 */
import type { Clock } from "../../clock.ts";
import type { Random } from "../../random.ts";
import type { Database, DatabaseChange, Files } from "../../store/ports.ts";

/** What a process asks of the disk. */
export interface DiskOperation {
  kind: "read" | "write" | "sync" | "remove" | "facts" | "list" | "get" | "batch" | "entries";
  /** Path of the file, or the first key. */
  path: string;
  /** Whether nothing of it has happened yet, or all of it. */
  when: "before" | "after";
}

export interface MemoryDiskInit {
  clock: Clock;
  /** Decides how long operations take and what a loss of power leaves. */
  random: Random;
  /** Called at both ends of every operation; may kill the process, or cut its power. */
  onOperation?: (operation: DiskOperation) => void;
}

interface Content {
  bytes: Uint8Array;
  modified: number;
}

/** A file as processes see it, and what a loss of power may leave of it: `flushed`, or one of what came after. */
interface Entry {
  flushed: Content | undefined;
  /** Oldest first, the last one as it is now; undefined where it was removed. */
  unflushed: (Content | undefined)[];
}

export class MemoryDisk {
  /** Longest time of one operation. */
  latencyMs = 0;
  onOperation: ((operation: DiskOperation) => void) | undefined;
  /** Files that a loss of power may have left cut short. */
  readonly torn = new Set<string>();
  readonly #init: MemoryDiskInit;
  #files = new Map<string, Entry>();
  /** As a process sees it. */
  #database = new Map<string, Uint8Array>();
  /** What `#database` was made from `#flushed` by; a loss of power loses some of the last. */
  #batches: DatabaseChange[][] = [];
  #flushed = new Map<string, Uint8Array>();
  #limit = Number.POSITIVE_INFINITY;
  /** Of files and values, as processes see them. */
  #used = 0;
  #process = 0;

  constructor(init: MemoryDiskInit) {
    this.#init = init;
    this.onOperation = init.onOperation;
  }

  /** Bytes of all files and all values. */
  get used(): number {
    return this.#used;
  }

  /** A file as it lies there now, for who looks at the disk from outside. */
  peek(path: string): Uint8Array | undefined {
    return this.#content(path)?.bytes;
  }

  /** Files for the process that runs now. */
  get files(): Files {
    const run = this.#runner();
    return {
      name: "the disk in memory",
      read: (path) => run("read", path, () => copyOf(this.#content(path)?.bytes)),
      write: (path, bytes, { flush }) => {
        const copy = copyOf(bytes);
        return run("write", path, () => this.#write(path, copy, flush));
      },
      sync: (path) => run("sync", path, () => this.#sync(path)),
      remove: (path) => run("remove", path, () => this.#change(path, undefined)),
      facts: (path) =>
        run("facts", path, () => {
          const content = this.#content(path);
          return content && { bytes: content.bytes.byteLength, modified: content.modified };
        }),
      list: (folder) => eachOf(run("list", folder, () => this.#paths(`${folder}/`))),
    };
  }

  /** The database for the process that runs now. */
  get database(): Database {
    const run = this.#runner();
    return {
      get: (key) => run("get", key, () => copyOf(this.#database.get(key))),
      batch: (changes, { sync }) => {
        const list = [...changes].map(([key, value]) => [key, copyOf(value)] as const);
        return run("batch", list[0]?.[0] ?? "", () => this.#batch(list, sync));
      },
      entries: (prefix) =>
        eachOf(
          run("entries", prefix, () =>
            [...this.#database]
              .filter(([key]) => key.startsWith(prefix))
              .toSorted(([a], [b]) => (a < b ? -1 : 1))
              .map(([key, value]): [string, Uint8Array] => [key, copyOf(value)]),
          ),
        ),
    };
  }

  /** Ends the process that uses the disk. What it had written is there, flushed or not. */
  kill(): void {
    this.#process++;
  }

  /**
   * Ends the process by a loss of power. Of each file that was not flushed the old content or one of the newer ones is
   * left, perhaps cut short; of the database the changes up to any that was not flushed.
   */
  crash(): void {
    this.kill();
    const { random } = this.#init;
    for (const [path, entry] of [...this.#files].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      if (entry.unflushed.length === 0) continue;
      const left = random.integer(entry.unflushed.length + 2);
      // One choice more: the name is there already, and not all of the content.
      if (left > entry.unflushed.length) this.torn.add(path);
      const content =
        left > entry.unflushed.length
          ? cut(entry.unflushed.at(-1), random)
          : [entry.flushed, ...entry.unflushed][left];
      if (content === undefined) this.#files.delete(path);
      else this.#files.set(path, { flushed: content, unflushed: [] });
    }
    const kept = this.#batches.slice(0, random.integer(this.#batches.length + 1));
    for (const batch of kept) apply(this.#flushed, batch);
    this.#database = new Map(this.#flushed);
    this.#batches = [];
    this.#count();
  }

  /** Loses everything, and ends the process. */
  wipe(): void {
    this.kill();
    this.#files = new Map();
    this.#database = new Map();
    this.#flushed = new Map();
    this.#batches = [];
    this.#used = 0;
  }

  /** A copy of the folder as it lies there now, such as somebody may start a second peer on. */
  clone(init: MemoryDiskInit = this.#init): MemoryDisk {
    const copy = new MemoryDisk(init);
    for (const [path] of this.#files) {
      const content = this.#content(path);
      if (content !== undefined) copy.#files.set(path, { flushed: content, unflushed: [] });
    }
    for (const path of this.torn) copy.torn.add(path);
    copy.#database = new Map(this.#database);
    copy.#flushed = new Map(this.#database);
    copy.#count();
    return copy;
  }

  /** From now on nothing is written that would make the disk hold more. */
  limit(bytes: number): void {
    this.#limit = bytes;
  }

  /** Flips one bit of one file, or of one value of the database. Returns whose; undefined when all is empty. */
  flipBit(random: Random): string | undefined {
    const files = this.#paths("").filter((path) => this.#content(path)!.bytes.byteLength > 0);
    const keys = [...this.#database.keys()].filter((key) => this.#database.get(key)!.byteLength > 0);
    const names = [...files, ...keys.toSorted()];
    if (names.length === 0) return undefined;
    const at = random.integer(names.length);
    const name = names[at]!;
    const flip = (bytes: Uint8Array): Uint8Array => {
      const harmed = copyOf(bytes);
      harmed[random.integer(bytes.byteLength)]! ^= 1 << random.integer(8);
      return harmed;
    };
    if (at < files.length) {
      const { bytes, modified } = this.#content(name)!;
      this.#files.set(name, { flushed: { bytes: flip(bytes), modified }, unflushed: [] });
    } else {
      const value = flip(this.#database.get(name)!);
      this.#database.set(name, value);
      if (this.#flushed.has(name)) this.#flushed.set(name, value);
      for (const batch of this.#batches)
        for (const [index, [key, old]] of batch.entries())
          if (key === name && old !== undefined) batch[index] = [key, value];
    }
    return name;
  }

  /** Runs operations for the process that runs now; after its end they never resolve. */
  #runner() {
    const process = this.#process;
    return async <T>(kind: DiskOperation["kind"], path: string, operate: () => T): Promise<T> => {
      if (this.#process !== process) return never();
      this.onOperation?.({ kind, path, when: "before" });
      if (this.#process === process) await this.#wait();
      if (this.#process !== process) return never();
      const result = operate();
      this.onOperation?.({ kind, path, when: "after" });
      return this.#process === process ? result : never();
    };
  }

  #wait(): Promise<void> | undefined {
    const { clock, random } = this.#init;
    if (this.latencyMs === 0) return undefined;
    const time = random.uniform() * this.latencyMs;
    return new Promise((resolve) => void clock.after(time, resolve));
  }

  #content(path: string): Content | undefined {
    const entry = this.#files.get(path);
    return entry === undefined || entry.unflushed.length === 0 ? entry?.flushed : entry.unflushed.at(-1);
  }

  #paths(prefix: string): string[] {
    const paths = [...this.#files.keys()].filter((path) => path.startsWith(prefix));
    return paths.filter((path) => this.#content(path) !== undefined).toSorted();
  }

  #write(path: string, bytes: Uint8Array, flush: boolean): void {
    // The old file is there until the new one is whole.
    if (this.#used + bytes.byteLength > this.#limit)
      throw Object.assign(new Error(`ENOSPC: no space left on device, write '${path}'`), {
        code: "ENOSPC",
        errno: -28,
        syscall: "write",
      });
    this.#change(path, { bytes, modified: this.#init.clock.wall() });
    if (flush) this.#sync(path);
  }

  #change(path: string, content: Content | undefined): void {
    this.#used += (content?.bytes.byteLength ?? 0) - (this.#content(path)?.bytes.byteLength ?? 0);
    const entry = this.#files.get(path) ?? { flushed: undefined, unflushed: [] };
    entry.unflushed.push(content);
    this.#files.set(path, entry);
  }

  #sync(path: string): void {
    const content = this.#content(path);
    if (content === undefined)
      throw Object.assign(new Error(`ENOENT: no such file or directory, open '${path}'`), {
        code: "ENOENT",
        errno: -2,
        syscall: "open",
      });
    this.#files.set(path, { flushed: content, unflushed: [] });
  }

  #batch(changes: DatabaseChange[], sync: boolean): void {
    const added = changes.reduce((sum, [, value]) => sum + (value?.byteLength ?? 0), 0);
    if (this.#used + added > this.#limit)
      // What LevelDB makes of ENOSPC.
      throw Object.assign(new Error("IO error: data/000003.log: No space left on device"), {
        code: "LEVEL_IO_ERROR",
      });
    for (const [key, value] of changes)
      this.#used += (value?.byteLength ?? 0) - (this.#database.get(key)?.byteLength ?? 0);
    apply(this.#database, changes);
    this.#batches.push(changes);
    if (!sync) return;
    for (const batch of this.#batches) apply(this.#flushed, batch);
    this.#batches = [];
  }

  #count(): void {
    const files = this.#paths("").map((path) => this.#content(path)!.bytes);
    this.#used = [...files, ...this.#database.values()].reduce((sum, bytes) => sum + bytes.byteLength, 0);
  }
}

/** Not one for all: it would remember everybody who waits for it. */
function never(): Promise<never> {
  return new Promise(() => {});
}

/** Not `slice`, which of a Buffer is no copy. */
function copyOf<T extends Uint8Array | undefined>(bytes: T): T {
  return (bytes && new Uint8Array(bytes)) as T;
}

function apply(database: Map<string, Uint8Array>, changes: readonly DatabaseChange[]): void {
  for (const [key, value] of changes)
    if (value === undefined) database.delete(key);
    else database.set(key, value);
}

function cut(content: Content | undefined, random: Random): Content | undefined {
  if (content === undefined) return undefined;
  return { ...content, bytes: content.bytes.slice(0, random.integer(content.bytes.byteLength + 1)) };
}

async function* eachOf<T>(list: Promise<T[]>): AsyncGenerator<T> {
  yield* await list;
}
