/**
 * Which blocks are needed, and by whom. Own counts instead of Helia's pins: unpinning one of two roots
 * that share blocks loses the shared ones (helia 7.1.15), and successive checkpoints share blocks.
 */
import * as dagCbor from "@ipld/dag-cbor";
import type { CID } from "multiformats/cid";
import type { Clock } from "../clock.ts";
import type { CheckedBlockstore } from "./blockstore.ts";
import { openJournal, readCount } from "./journal.ts";
import { blockKey } from "./layout.ts";
import type { Database, DatabaseChange, Files } from "./ports.ts";
import { LENGTHS, openRecords, WAITING } from "./records.ts";
import type { RecordChanges, Records, RetentionChange } from "./types.ts";

// In the same database as libp2p's peers and records, whose keys start with other words.
const PINS = "/pathweave/retained/";
/** Files are stamped by a coarser clock than ours, on network disks by another machine's. */
const CLOCK_SLACK_MS = 60_000;
const SWEPT_AT = "/pathweave/swept-at";
/** Nothing takes as long from its first block to the pin that keeps it: a fetch has two minutes. */
export const YOUNG_MS = 240_000;

export interface RetentionInit {
  files: Files;
  database: Database;
  blocks: CheckedBlockstore;
  clock: Clock;
}

export interface Retention {
  /**
   * Replaces what pins keep, and changes logs, all of it in one write that survives a loss of power. An empty set
   * releases.
   */
  retain(changes: Iterable<RetentionChange>, records?: RecordChanges): Promise<void>;
  retained(pin: string): CID[];
  pins(): string[];
  readonly records: Records;
  /** Says that a block was just written or found needed, so that sweeps leave it for a while. */
  touch(cid: CID): void;
  /** Deletes what nobody keeps, other than what was touched within the last `youngMs`, whoever sweeps how often. */
  sweep(youngMs?: number): Promise<number>;
  /** Whether all that was ever written was found; not when the database was damaged, or lost beside its blocks. */
  readonly complete: boolean;
  /** Says that what was missing has been retained again. */
  rebuilt(): Promise<void>;
}

/** Reads back what is retained. Throws what files and database throw. */
export async function openRetention({ files, database, blocks, clock }: RetentionInit): Promise<Retention> {
  const pinned = new Map<string, CID[]>();
  const counts = new Map<string, number>();
  const sealed: [key: string, value: Uint8Array][] = [];
  const journal = await openJournal({
    files,
    database,
    prefixes: [PINS, LENGTHS, WAITING],
    found(key, value) {
      if (!key.startsWith(PINS)) sealed.push([key, value]);
      else
        try {
          replace(decodeURIComponent(key.slice(PINS.length)), dagCbor.decode<CID[]>(value));
        } catch {
          // The sum tells.
        }
    },
    isNew: () => isEmpty(blocks.cids()),
  });
  const records = await openRecords({ name: files.name, database, blocks, journal, sealed });
  blocks.spare = (cid) => records.read(cid);
  blocks.pinned = (key) => counts.has(key);
  // What is younger than the last sweep of an earlier process is young for a while: a fetch may have been under way when
  // that process ended.
  const openedAt = clock.now();
  const sweptAt = journal.complete ? readCount(await database.get(SWEPT_AT)) : 0;
  /** When blocks were touched, by `blockKey`; what was no longer young at the last sweep is left out. */
  const touched = new Map<string, number>();
  const touch = (cid: CID): void => void touched.set(blockKey(cid), clock.now());

  function replace(pin: string, cids: CID[]): void {
    for (const key of new Set(cids.map(blockKey))) counts.set(key, (counts.get(key) ?? 0) + 1);
    for (const key of new Set(pinned.get(pin)?.map(blockKey))) {
      const left = counts.get(key)! - 1;
      if (left === 0) counts.delete(key);
      else counts.set(key, left);
    }
    if (cids.length === 0) pinned.delete(pin);
    else pinned.set(pin, cids);
  }

  async function write(changes: ReadonlyMap<string, CID[]>, recordChanges: RecordChanges): Promise<void> {
    const pins = [...changes].map(([pin, cids]): DatabaseChange => [
      PINS + encodeURIComponent(pin),
      cids.length === 0 ? undefined : dagCbor.encode(cids),
    ]);
    const prepared = records.prepare(recordChanges);
    await journal.commit([...pins, ...prepared.sealed], prepared.entries, () => {
      for (const [pin, cids] of changes) replace(pin, [...cids]);
      prepared.made();
    });
  }

  async function sweepNow(youngMs: number): Promise<number> {
    const startedAt = clock.wall();
    const old = clock.now() - youngMs;
    for (const [key, at] of touched) if (at <= old) touched.delete(key);
    await records.index();
    let deleted = 0;
    for await (const cid of blocks.cids()) {
      const key = blockKey(cid);
      const needed = (): boolean => counts.has(key) || records.has(cid) || touched.has(key);
      if (needed()) continue;
      if (openedAt > old && (await wasYoung(cid))) continue;
      if (needed()) continue;
      await blocks.delete(cid);
      deleted++;
    }
    await database.batch([[SWEPT_AT, Buffer.from(String(startedAt))]], { sync: false });
    return deleted;
  }

  /** Whether an earlier process wrote it after its last sweep. */
  async function wasYoung(cid: CID): Promise<boolean> {
    const facts = await blocks.facts(cid);
    // Absent: it was corrupt, and is deleted.
    return facts === undefined || facts.modified >= sweptAt - CLOCK_SLACK_MS;
  }

  return {
    async retain(changes, recordChanges = {}) {
      const latest = new Map(changes);
      // At once, not in turn: a sweep that is running must not delete them.
      for (const cid of [...latest.values()].flat()) touch(cid);
      for (const { block } of recordChanges.append ?? []) touch(block.cid);
      // What is fetched is not flushed before somebody needs it.
      const needed = [...latest.values()].flat();
      await blocks.flush(needed);
      await journal.inTurn(() => write(latest, recordChanges));
      // Came meanwhile.
      await blocks.flush(needed);
      // Not in turn: making room for them may take a sweep.
      await records.file();
      await records.mend(recordChanges.append?.length ?? 0);
    },
    retained: (pin) => [...(pinned.get(pin) ?? [])],
    pins: () => [...pinned.keys()],
    records,
    touch,
    sweep: (youngMs = YOUNG_MS) => journal.inTurn(() => sweepNow(youngMs)),
    get complete() {
      return journal.complete;
    },
    rebuilt: () => journal.rebuilt(),
  };
}

async function isEmpty(items: AsyncIterable<unknown>): Promise<boolean> {
  for await (const _ of items) return false;
  return true;
}
