/**
 * Which blocks are needed, and by whom. Own counts instead of Helia's pins: unpinning one of two roots
 * that share blocks loses the shared ones (helia 7.1.15), and successive checkpoints share blocks.
 */
import { createHash } from "node:crypto";
import * as dagCbor from "@ipld/dag-cbor";
import { CID } from "multiformats/cid";
import type { Clock } from "../clock.ts";
import { type Block, matches } from "../objects/object.ts";
import type { CheckedBlockstore } from "./blockstore.ts";
import type { Database, Files } from "./ports.ts";
import { storageError } from "./storage-error.ts";
import type { RetentionChange } from "./types.ts";

// In the same database as libp2p's peers and records, whose keys start with other words.
const OWNERS = "/pathweave/retained/";
/** Fresh blocks of a change, until they are files. */
const FRESH = "/pathweave/fresh/";
/** Files are stamped by a coarser clock than ours, on network disks by another machine's. */
const CLOCK_SLACK_MS = 60_000;
const SWEPT_AT = "/pathweave/swept-at";
const SUM = "/pathweave/sum";
const SUM_BYTES = 32;
/** File with the number of changes. */
const COUNTER = "changes";

/** Blocks lie on disk by multihash; what codec the CID names is lost there. */
function keyOf(cid: CID): string {
  return Buffer.from(cid.multihash.bytes).toString("base64");
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

/** 0 when there is no such file, or nothing in it that helps. */
function readCount(bytes: Uint8Array | undefined): number {
  const count = Number(Buffer.from(bytes ?? []).toString());
  return Number.isSafeInteger(count) ? count : 0;
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

export interface RetentionInit {
  files: Files;
  database: Database;
  blocks: CheckedBlockstore;
  clock: Clock;
}

export interface Retention {
  /**
   * Replaces what owners need, and puts their fresh blocks on disk, all of it in one write that survives a loss of
   * power. An empty set releases.
   */
  retain(changes: Iterable<RetentionChange>): Promise<void>;
  retained(owner: string): CID[];
  owners(): string[];
  /** Says that a block was just written or found needed, so that the next sweep leaves it. */
  touch(cid: CID): void;
  sweep(): Promise<number>;
  /** Whether all that was ever written was found; not when the database was damaged, or lost beside its blocks. */
  readonly complete: boolean;
  /** Says that what was missing has been retained again. */
  rebuilt(): Promise<void>;
}

/**
 * Reads back what is retained. LevelDB passes over what it cannot read and does not check what it can, so with every
 * change the sum of the hashes of all entries is written, and the number of changes: there, and then in the file
 * `changes`, which a database that lost its last changes falls behind. Throws what files and database throw.
 */
export async function openRetention({ files, database, blocks, clock }: RetentionInit): Promise<Retention> {
  const owned = new Map<string, CID[]>();
  const counts = new Map<string, number>();
  /** Of each entry as it is in the database, by key; `sum` is of them all. */
  const hashes = new Map<string, Buffer>();
  let sum = Buffer.alloc(SUM_BYTES);
  for await (const [key, value] of database.entries(OWNERS)) {
    hashes.set(key, hashOf(key, value));
    try {
      replace(decodeURIComponent(key.slice(OWNERS.length)), dagCbor.decode<CID[]>(value));
    } catch {
      // The sum tells.
    }
  }
  /** Blocks of the last change, when that was not finished. */
  const unfinished: Block[] = [];
  for await (const [key, value] of database.entries(FRESH)) {
    hashes.set(key, hashOf(key, value));
    const block = freshBlock(key, value);
    if (block !== undefined) unfinished.push(block);
  }
  for (const hash of hashes.values()) add(sum, hash);
  const sealed = await database.get(SUM);
  const counted = readCount(await files.read(COUNTER));
  let changeCount = Math.max(counted, countOf(sealed));
  let complete =
    sealed === undefined
      ? hashes.size === 0 && (await isEmpty(blocks.cids()))
      : sum.equals(sealed.subarray(0, SUM_BYTES)) && countOf(sealed) >= counted;
  // Blocks younger than the last sweep of an earlier process are left by the first sweep of this one: a
  // fetch or a contribution may have been under way when that process ended.
  let sweptAt: number | undefined = complete ? readCount(await database.get(SWEPT_AT)) : 0;
  let recent = new Set<string>();
  let turn: Promise<unknown> = Promise.resolve();

  /** One change at a time, so that disk and memory agree. */
  function inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = turn.then(task).catch((error: unknown) => {
      throw storageError(error, files.name);
    });
    turn = result.catch(() => {});
    return result;
  }

  function replace(owner: string, cids: CID[]): void {
    for (const key of new Set(cids.map(keyOf))) counts.set(key, (counts.get(key) ?? 0) + 1);
    for (const key of new Set(owned.get(owner)?.map(keyOf))) {
      const left = counts.get(key)! - 1;
      if (left === 0) counts.delete(key);
      else counts.set(key, left);
    }
    if (cids.length === 0) owned.delete(owner);
    else owned.set(owner, cids);
  }

  /** Changes entries, with their sum, in one batch: undefined removes. */
  async function commit(
    entries: ReadonlyMap<string, Uint8Array | undefined>,
    options: { sync: boolean },
  ): Promise<void> {
    const next = Buffer.from(sum);
    const hashed = [...entries].map(([key, value]) => {
      const hash = value === undefined ? undefined : hashOf(key, value);
      add(next, hashes.get(key));
      add(next, hash);
      return { key, hash };
    });
    // While something is missing there is no sum, so that a crash does not make it forgotten.
    const sealed = complete ? seal(next, changeCount) : undefined;
    await database.batch([...entries, [SUM, sealed]], options);
    sum = next;
    for (const { key, hash } of hashed) {
      if (hash === undefined) hashes.delete(key);
      else hashes.set(key, hash);
    }
  }

  async function write(changes: ReadonlyMap<string, CID[]>, fresh: readonly Block[]): Promise<void> {
    const entries = new Map<string, Uint8Array | undefined>();
    for (const [owner, cids] of changes)
      entries.set(OWNERS + encodeURIComponent(owner), cids.length === 0 ? undefined : dagCbor.encode(cids));
    for (const { cid, bytes } of fresh) entries.set(FRESH + cid.toString(), bytes);
    changeCount++;
    await commit(entries, { sync: true });
    for (const [owner, cids] of changes) replace(owner, [...cids]);
    // After a loss of power it may be an older one, or empty: only a newer one tells anything.
    await files.write(COUNTER, Buffer.from(String(changeCount)), { flush: false });
  }

  /**
   * Of blocks whose owners are in the database, never before: a block that is a file and belongs to nobody is forgotten
   * by a restart, and found by whoever reads the disk. Not in turn: making room for them may take a sweep.
   */
  async function makeFiles(fresh: readonly Block[]): Promise<void> {
    if (fresh.length === 0) return;
    await blocks.write(fresh);
    const entries = new Map(fresh.map(({ cid }) => [FRESH + cid.toString(), undefined]));
    await inTurn(() => commit(entries, { sync: false }));
  }

  async function sweepNow(): Promise<number> {
    const startedAt = clock.wall();
    const before = recent;
    recent = new Set();
    let deleted = 0;
    for await (const cid of blocks.cids()) {
      const key = keyOf(cid);
      const needed = (): boolean => counts.has(key) || before.has(key) || recent.has(key);
      if (needed()) continue;
      if (sweptAt !== undefined && (await isYoung(cid, sweptAt))) continue;
      if (needed()) continue;
      await blocks.delete(cid);
      deleted++;
    }
    sweptAt = undefined;
    await database.batch([[SWEPT_AT, Buffer.from(String(startedAt))]], { sync: false });
    return deleted;
  }

  async function isYoung(cid: CID, since: number): Promise<boolean> {
    const facts = await blocks.facts(cid);
    // Absent: it was corrupt, and is deleted.
    return facts === undefined || facts.modified >= since - CLOCK_SLACK_MS;
  }

  await makeFiles(unfinished);
  // From now on blocks without a sum mean a lost database.
  if (complete && sealed === undefined) await write(new Map(), []);

  return {
    async retain(changes) {
      const list = [...changes];
      const latest = new Map(list.map(([owner, cids]) => [owner, cids]));
      // At once, not in turn: a sweep that is running must not delete them.
      for (const cid of [...latest.values()].flat()) recent.add(keyOf(cid));
      const fresh = list.flatMap(([, , brought = []]) => brought);
      await inTurn(() => write(latest, fresh));
      await makeFiles(fresh);
    },
    retained: (owner) => [...(owned.get(owner) ?? [])],
    owners: () => [...owned.keys()],
    touch: (cid) => recent.add(keyOf(cid)),
    sweep: () => inTurn(sweepNow),
    get complete() {
      return complete;
    },
    async rebuilt() {
      complete = true;
      await inTurn(() => write(new Map(), []));
    },
  };
}

/** Undefined when it is damaged, which the sum tells. */
function freshBlock(key: string, bytes: Uint8Array): Block | undefined {
  try {
    const cid = CID.parse(key.slice(FRESH.length));
    return matches(cid, bytes) ? { cid, bytes } : undefined;
  } catch {
    return undefined;
  }
}

async function isEmpty(items: AsyncIterable<unknown>): Promise<boolean> {
  for await (const _ of items) return false;
  return true;
}
