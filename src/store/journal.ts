/**
 * Entries of the database that are changed together and whose loss is noticed. LevelDB passes over what it cannot read
 * and does not check what it can, so with every change the sum of the hashes of all entries is written, and the number of
 * changes: there, and then in the file `changes`, which a database that lost its last changes falls behind. A change
 * costs what it changes, however many entries there are.
 */
import { createHash } from "node:crypto";
import type { Database, DatabaseChange, Files } from "./ports.ts";
import { storageError } from "./storage-error.ts";

const SUM = "/pathweave/sum";
const SUM_BYTES = 32;
/** File with the number of changes. */
const COUNTER = "changes";

export interface JournalInit {
  files: Files;
  database: Database;
  /** What the keys of the entries begin with. */
  prefixes: readonly string[];
  /** Told of each entry that is there. */
  found(key: string, value: Uint8Array): void;
  /** Whether nothing was ever written beside the database, so that one without entries lacks none. */
  isNew(): Promise<boolean>;
}

export interface Journal {
  /** Whether all that was ever written was found; not when the database was damaged, or lost beside its blocks. */
  readonly complete: boolean;
  /** Says that something is missing. The next change makes that outlast a restart. */
  damaged(): void;
  /** Says that what was missing has been written again. */
  rebuilt(): Promise<void>;
  /** Runs one task after the other, so that disk and memory agree. Throws StorageError. */
  inTurn<T>(task: () => Promise<T>): Promise<T>;
  /**
   * Changes entries, and others that carry checksums of their own, in one batch that survives a loss of power. Call it
   * in turn. `made` is called once they are there, also when what comes after fails.
   */
  commit(
    entries: Iterable<DatabaseChange>,
    others?: Iterable<DatabaseChange>,
    made?: () => void,
  ): Promise<void>;
}

/** What is written under SUM. */
function seal(sum: Buffer, changes: number): Buffer {
  const count = Buffer.alloc(8);
  count.writeBigUInt64BE(BigInt(changes));
  return Buffer.concat([sum, count]);
}

function countOf(sealed: Uint8Array | undefined): number {
  return sealed?.byteLength === SUM_BYTES + 8 ? Number(Buffer.from(sealed).readBigUInt64BE(SUM_BYTES)) : 0;
}

/** 0 when there is no such number, or nothing that helps. */
export function readCount(bytes: Uint8Array | undefined): number {
  const count = Number(Buffer.from(bytes ?? []).toString());
  return Number.isSafeInteger(count) && count > 0 ? count : 0;
}

function hashOf(key: string, value: Uint8Array): Buffer {
  return createHash("sha256").update(`${key}\0`).update(value).digest();
}

/** Exclusive or, so that what was added is taken away by adding it again. */
function add(sum: Buffer, hash: Buffer | undefined): void {
  hash?.forEach((byte, i) => {
    sum[i]! ^= byte;
  });
}

/** Reads all entries. Throws what files and database throw. */
export async function openJournal({
  files,
  database,
  prefixes,
  found,
  isNew,
}: JournalInit): Promise<Journal> {
  /** Of each entry as it is in the database, by key; `sum` is of them all. */
  const hashes = new Map<string, Buffer>();
  for (const prefix of prefixes)
    for await (const [key, value] of database.entries(prefix)) {
      hashes.set(key, hashOf(key, value));
      found(key, value);
    }
  let sum = Buffer.alloc(SUM_BYTES);
  for (const hash of hashes.values()) add(sum, hash);
  const sealed = await database.get(SUM);
  const counted = readCount(await files.read(COUNTER));
  let changeCount = Math.max(counted, countOf(sealed));
  let complete =
    sealed === undefined
      ? hashes.size === 0 && (await isNew())
      : sum.equals(sealed.subarray(0, SUM_BYTES)) && countOf(sealed) >= counted;
  let turn: Promise<unknown> = Promise.resolve();

  function inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = turn.then(task).catch((error: unknown) => {
      throw storageError(error, files.name);
    });
    turn = result.catch(() => {});
    return result;
  }

  async function commit(
    entries: Iterable<DatabaseChange>,
    others: Iterable<DatabaseChange> = [],
    made?: () => void,
  ): Promise<void> {
    const latest = new Map(entries);
    const next = Buffer.from(sum);
    const hashed = [...latest].map(([key, value]) => {
      const hash = value === undefined ? undefined : hashOf(key, value);
      add(next, hashes.get(key));
      add(next, hash);
      return { key, hash };
    });
    changeCount++;
    // While something is missing there is no sum, so that a crash does not make it forgotten.
    const written = complete ? seal(next, changeCount) : undefined;
    await database.batch([...latest, ...others, [SUM, written]], { sync: true });
    sum = next;
    for (const { key, hash } of hashed) {
      if (hash === undefined) hashes.delete(key);
      else hashes.set(key, hash);
    }
    made?.();
    // After a loss of power it may be an older one, or empty: only a newer one tells anything.
    await files.write(COUNTER, Buffer.from(String(changeCount)), { flush: false });
  }

  // From now on blocks without a sum mean a lost database.
  if (complete && sealed === undefined) await commit([]);

  return {
    get complete() {
      return complete;
    },
    damaged: () => void (complete = false),
    async rebuilt() {
      complete = true;
      await inTurn(() => commit([]));
    },
    inTurn,
    commit,
  };
}
