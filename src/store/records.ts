/**
 * Logs of small blocks in the database: one key a block, in the order in which they came, never changed and never
 * removed. Adding some costs what they are, however many there are, and reading a log back is one pass over its keys.
 *
 * Each is a file, too, since only one process can open the database: who reads blocks beside a running peer, or by its
 * CID over bitswap, reads files. A block becomes a file after it is in the log, never before: a block that is a file and
 * in no log is forgotten by a restart, and found by whoever reads the disk.
 *
 * An entry is the hash of its block and the block. The keys of a log are numbered without a gap and its length is sealed
 * (journal.ts), so what is damaged and what is gone is noticed while it is read.
 */
import type { CID } from "multiformats/cid";
import { type Block, dagCborCid } from "../objects/object.ts";
import type { CheckedBlockstore } from "./blockstore.ts";
import { type Journal, readCount } from "./journal.ts";
import { blockKey, blockOf } from "./layout.ts";
import type { Database, DatabaseChange } from "./ports.ts";
import { storageError } from "./storage-error.ts";
import type { RecordChanges, Records } from "./types.ts";

const ENTRIES = "/pathweave/log/";
/** By log: how many entries it has. Sealed. */
export const LENGTHS = "/pathweave/log-length/";
/** By log and CID: blocks that wait beside a log. Sealed. */
export const WAITING = "/pathweave/log-waiting/";
/** By log: how many of its first entries are files. */
const FILED = "/pathweave/log-filed/";
const HASH_BYTES = 32;
const DIGITS = 10;
/** Files that are looked at for each record that comes: so all are read again before there are twice as many. */
const LOOKS_PER_RECORD = 2;

export interface RecordsInit {
  /** Where they are, for people. */
  name: string;
  database: Database;
  blocks: CheckedBlockstore;
  journal: Journal;
  /** Sealed entries that are there. */
  sealed: Iterable<readonly [key: string, value: Uint8Array]>;
}

/** `Records`, and what the store itself needs of them. */
export interface RecordLogs extends Records {
  /** The block of an entry. */
  read(cid: CID): Promise<Uint8Array | undefined>;
  /** Reads the logs that nobody has read yet, so that `has` knows all entries. */
  index(): Promise<void>;
  /** What a change takes in the database. `made` says that it is there. */
  prepare(changes: RecordChanges): {
    sealed: DatabaseChange[];
    entries: DatabaseChange[];
    made(): void;
  };
  /** Makes files of all entries that are none yet. Throws StorageError. */
  file(): Promise<void>;
  /**
   * Looks at the files of a few entries, others each time, and writes those anew that rotted: as many as befits so many
   * records that have come. Throws StorageError.
   */
  mend(come: number): Promise<void>;
}

/** An entry that is no file yet. */
interface Unfiled {
  log: string;
  number: number;
  block: Block;
}

const prefixOf = (log: string): string => `${ENTRIES}${encodeURIComponent(log)}/`;
const keyOf = (log: string, number: number): string =>
  `${prefixOf(log)}${String(number).padStart(DIGITS, "0")}`;
const waitingKey = (log: string, cid: CID): string =>
  `${WAITING}${encodeURIComponent(log)}/${cid.toString()}`;
const countValue = (count: number): Uint8Array => Buffer.from(String(count));

function encodeEntry({ cid, bytes }: Block): Uint8Array {
  return Buffer.concat([cid.multihash.digest, bytes]);
}

/** Undefined when it is damaged. */
function decodeEntry(value: Uint8Array): Block | undefined {
  const bytes = value.subarray(HASH_BYTES);
  const cid = dagCborCid(bytes);
  return Buffer.compare(cid.multihash.digest, value.subarray(0, HASH_BYTES)) === 0
    ? { cid, bytes }
    : undefined;
}

/** Opens the logs, and makes files of what a process that ended had not made files of. */
export async function openRecords({
  name,
  database,
  blocks,
  journal,
  sealed,
}: RecordsInit): Promise<RecordLogs> {
  const lengths = new Map<string, number>();
  const waiting = new Map<string, Map<string, Block>>();
  /** By `blockKey`: the key of the entry. */
  const keys = new Map<string, string>();
  /** Logs all of whose entries are in `keys`. */
  const indexed = new Set<string>();
  /** Keys at which nothing is, or nothing that is whole. */
  const holes = new Set<string>();
  const unfiled: Unfiled[] = [];
  /** Of `keys`: whose files are looked at next. */
  let next = keys.keys();
  let filing: Promise<void> = Promise.resolve();

  const lengthOf = (log: string): number => lengths.get(log) ?? 0;

  function waitingOf(log: string): Map<string, Block> {
    const found = waiting.get(log) ?? new Map<string, Block>();
    waiting.set(log, found);
    return found;
  }

  for (const [key, value] of sealed)
    if (key.startsWith(LENGTHS)) lengths.set(decodeURIComponent(key.slice(LENGTHS.length)), readCount(value));
    else if (key.startsWith(WAITING)) {
      const [log = ""] = key.slice(WAITING.length).split("/");
      const block = decodeEntry(value);
      // Damaged: the seal tells.
      if (block !== undefined) waitingOf(decodeURIComponent(log)).set(block.cid.toString(), block);
    }

  /** What the database refuses is said in one line. */
  const refused = (error: unknown): never => {
    throw storageError(error, name);
  };

  async function* entries(log: string): AsyncGenerator<Block> {
    try {
      yield* read(log);
    } catch (error) {
      refused(error);
    }
  }

  async function* read(log: string): AsyncGenerator<Block> {
    const prefix = prefixOf(log);
    const length = lengthOf(log);
    const missing: number[] = [];
    let next = 0;
    for await (const [key, value] of database.entries(prefix)) {
      const number = Number(key.slice(prefix.length));
      while (next < number) missing.push(next++);
      next++;
      // Of a block that was lost, and is a later entry if it was found.
      if (value.byteLength === 0) continue;
      const block = decodeEntry(value);
      if (block === undefined) {
        missing.push(number);
        continue;
      }
      keys.set(blockKey(block.cid), key);
      yield block;
    }
    while (next < length) missing.push(next++);
    // Its length was lost, too.
    lengths.set(log, Math.max(lengthOf(log), next));
    indexed.add(log);
    if (missing.length === 0) return;
    for (const number of missing) holes.add(keyOf(log, number));
    journal.damaged();
  }

  async function fileNow(): Promise<void> {
    const batch = [...unfiled];
    if (batch.length === 0) return;
    await blocks.write(batch.map(({ block }) => block));
    unfiled.splice(0, batch.length);
    const filed = new Map(batch.map(({ log, number }) => [FILED + encodeURIComponent(log), number + 1]));
    // Not flushed: should it be lost, some are made files once more.
    await database.batch(
      [...filed].map(([key, count]) => [key, countValue(count)]),
      { sync: false },
    );
  }

  /** One after the other, so that no entry counts as a file before those in front of it. */
  function file(): Promise<void> {
    filing = filing
      .catch(() => {})
      .then(fileNow)
      .catch(refused);
    return filing;
  }

  for (const [log, length] of lengths) {
    const filed = readCount(await database.get(FILED + encodeURIComponent(log)));
    for (let number = filed; number < length; number++) {
      const value = await database.get(keyOf(log, number));
      const block = value && decodeEntry(value);
      if (block !== undefined) unfiled.push({ log, number, block });
    }
  }
  await file();

  return {
    entries,
    file,
    has: (cid) => keys.has(blockKey(cid)),
    async mend(come) {
      for (let looks = LOOKS_PER_RECORD * come; looks > 0; looks--) {
        const { value } = next.next();
        if (value === undefined) next = keys.keys();
        // Reading it is enough: nobody else may ever read the file.
        else await blocks.read(blockOf(value));
      }
    },
    waiting: (log) => [...(waiting.get(log)?.values() ?? [])],
    async read(cid) {
      const key = keys.get(blockKey(cid));
      const value = key === undefined ? undefined : await database.get(key).catch(refused);
      return value && decodeEntry(value)?.bytes;
    },
    async index() {
      for (const log of lengths.keys()) if (!indexed.has(log)) for await (const _ of entries(log)) continue;
    },
    prepare({ append = [], wait = [], leave = [] }) {
      const fresh = new Map<string, Unfiled>();
      const grown = new Map<string, number>();
      for (const { log, block } of append) {
        const hash = blockKey(block.cid);
        if (keys.has(hash) || fresh.has(hash)) continue;
        const number = grown.get(log) ?? lengthOf(log);
        grown.set(log, number + 1);
        fresh.set(hash, { log, number, block });
      }
      // Lengths are written anew with what was lost.
      const changed = journal.complete ? grown : new Map([...lengths, ...grown]);
      return {
        sealed: [
          ...[...changed].map(
            ([log, count]) => [LENGTHS + encodeURIComponent(log), countValue(count)] as const,
          ),
          ...leave.map(({ log, cid }) => [waitingKey(log, cid), undefined] as const),
          ...wait.map(({ log, block }) => [waitingKey(log, block.cid), encodeEntry(block)] as const),
        ],
        entries: [
          ...[...holes].map((key) => [key, new Uint8Array()] as const),
          ...[...fresh.values()].map(
            ({ log, number, block }) => [keyOf(log, number), encodeEntry(block)] as const,
          ),
        ],
        made() {
          holes.clear();
          for (const [log, count] of grown) lengths.set(log, count);
          for (const { log, cid } of leave) waiting.get(log)?.delete(cid.toString());
          for (const { log, block } of wait) waitingOf(log).set(block.cid.toString(), block);
          for (const [hash, entry] of fresh) {
            keys.set(hash, keyOf(entry.log, entry.number));
            unfiled.push(entry);
          }
        },
      };
    },
  };
}
