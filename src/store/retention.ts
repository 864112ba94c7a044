/**
 * Which blocks are needed, and by whom. Own counts instead of Helia's pins: unpinning one of two roots
 * that share blocks loses the shared ones (helia 7.1.15), and successive checkpoints share blocks.
 */
import { stat } from "node:fs/promises";
import * as dagCbor from "@ipld/dag-cbor";
import type { LevelDatastore } from "datastore-level";
import type { CID } from "multiformats/cid";
import type { CheckedBlockstore } from "./blockstore.ts";

type Level = LevelDatastore["db"];

// In the same database as libp2p's peers and records, whose keys start with other words.
const OWNERS = "/pathweave/retained/";
/** Files are stamped by a coarser clock than ours, on network disks by another machine's. */
const CLOCK_SLACK_MS = 60_000;
const SWEPT_AT = "/pathweave/swept-at";

/** Blocks lie on disk by multihash; what codec the CID names is lost there. */
function keyOf(cid: CID): string {
  return Buffer.from(cid.multihash.bytes).toString("base64");
}

export interface Retention {
  retain(owner: string, cids: CID[]): Promise<void>;
  release(owner: string): Promise<void>;
  retained(owner: string): CID[];
  owners(): string[];
  /** Says that a block was just written or found needed, so that the next sweep leaves it. */
  touch(cid: CID): void;
  sweep(): Promise<number>;
}

export async function openRetention(database: Level, blocks: CheckedBlockstore): Promise<Retention> {
  const owned = new Map<string, CID[]>();
  const counts = new Map<string, number>();
  for await (const [key, value] of database.iterator({ gte: OWNERS, lt: `${OWNERS}\xFF` })) {
    replace(decodeURIComponent(key.slice(OWNERS.length)), dagCbor.decode<CID[]>(value));
  }
  // Blocks younger than the last sweep of an earlier process are left by the first sweep of this one: a
  // fetch or a contribution may have been under way when that process ended.
  let sweptAt: number | undefined = Number((await database.get(SWEPT_AT)) ?? 0);
  let recent = new Set<string>();
  let turn: Promise<unknown> = Promise.resolve();

  /** One change at a time, so that disk and memory agree. */
  function inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = turn.then(task);
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

  async function sweepNow(): Promise<number> {
    const startedAt = Date.now();
    const before = recent;
    recent = new Set();
    let deleted = 0;
    for await (const { cid } of blocks.getAll()) {
      const key = keyOf(cid);
      const needed = (): boolean => counts.has(key) || before.has(key) || recent.has(key);
      if (needed()) continue;
      if (sweptAt !== undefined && (await isYoung(cid, sweptAt))) continue;
      if (needed()) continue;
      await blocks.delete(cid);
      deleted++;
    }
    sweptAt = undefined;
    await database.put(SWEPT_AT, Buffer.from(String(startedAt)));
    return deleted;
  }

  async function isYoung(cid: CID, since: number): Promise<boolean> {
    return (await stat(blocks.fileOf(cid))).mtimeMs >= since - CLOCK_SLACK_MS;
  }

  return {
    async retain(owner, cids) {
      // At once, not in turn: a sweep that is running must not delete them.
      for (const cid of cids) recent.add(keyOf(cid));
      await inTurn(async () => {
        if (cids.length === 0) await database.del(OWNERS + encodeURIComponent(owner));
        else await database.put(OWNERS + encodeURIComponent(owner), dagCbor.encode(cids));
        replace(owner, [...cids]);
      });
    },
    release: (owner) =>
      inTurn(async () => {
        await database.del(OWNERS + encodeURIComponent(owner));
        replace(owner, []);
      }),
    retained: (owner) => [...(owned.get(owner) ?? [])],
    owners: () => [...owned.keys()],
    touch: (cid) => recent.add(keyOf(cid)),
    sweep: () => inTurn(sweepNow),
  };
}
