/**
 * The lineage on disk: for each module a log of the store, to which records are appended as they become known, in one
 * write with what follows from them. What waits for others, and so is no part of the lineage yet, waits beside the log.
 * Should the logs be damaged, every block on the disk says itself what it is.
 */
import type { CID } from "multiformats/cid";
import { Contribution } from "../../objects/contribution.ts";
import { type Block, dagCborCid, kindOf } from "../../objects/object.ts";
import { Version } from "../../objects/version.ts";
import type { Lineage } from "../../outer/lineage.ts";
import type { LogBlock, RecordChanges, RetentionChange, Store } from "../../store/types.ts";

/** A record that was on this disk. */
export interface RestoredRecord extends Block {
  /** Whether this peer had verified it before it was written; else it is a block that happened to lie there. */
  verified: boolean;
}

export interface LineageStore {
  /** Takes the block of a version or contribution; `flush` puts it on disk, if the lineage holds it or it waits there. */
  add(module: string, block: Block): void;
  /** The block of a known version or contribution. What is not on disk yet is put there first: nobody is told of it before. */
  block(cid: CID): Promise<Uint8Array | undefined>;
  /**
   * Resolves when all records that the lineages hold now would survive a crash. All that `first` adds to them and all
   * that it resolves to is in one write: after a crash it is there together or not at all.
   */
  flush(first?: () => Promise<RetentionChange[]>): Promise<void>;
  /** Records of all modules as they were at the last flush, each module's in their order, then what waits for others. */
  restore(): AsyncGenerator<RestoredRecord>;
}

export function createLineageStore(store: Store, lineages: ReadonlyMap<string, Lineage>): LineageStore {
  /** Modules that have changed, with the blocks that are in no log yet, by CID, in the order of arrival. */
  const dirty = new Map<string, Map<string, Block>>();
  /** Records that were found on this disk outside the logs. They belong there even while the lineage lacks what they need. */
  const found = new Set<string>();
  let flushing: Promise<void> = Promise.resolve();

  function freshOf(module: string): Map<string, Block> {
    const fresh = dirty.get(module) ?? new Map<string, Block>();
    dirty.set(module, fresh);
    return fresh;
  }

  /** Where the records of a module belong that are in no log yet. */
  function changesOf(log: string, fresh: ReadonlyMap<string, Block>): Required<RecordChanges> {
    const lineage = lineages.get(log)!;
    const append: LogBlock[] = [];
    const wait: LogBlock[] = [];
    const leave: { log: string; cid: CID }[] = [];
    const waiting = new Map(store.records.waiting(log).map((block) => [block.cid.toString(), block]));
    let orphans: Set<string> | undefined;
    const isOrphan = (key: string): boolean => (orphans ??= new Set(lineage.orphans().map(String))).has(key);
    for (const [key, block] of new Map([...fresh, ...waiting])) {
      const { cid } = block;
      const joins = lineage.version(cid) ?? lineage.contribution(cid) ?? found.has(key);
      const waits = !joins && isOrphan(key);
      if (joins) append.push({ log, block });
      else if (waits && !waiting.has(key)) wait.push({ log, block });
      if (!waits && waiting.has(key)) leave.push({ log, cid });
    }
    return { append, wait, leave };
  }

  async function write(first?: () => Promise<RetentionChange[]>): Promise<void> {
    const retain = (await first?.()) ?? [];
    const modules = [...dirty];
    dirty.clear();
    const changes = modules.map(([module, fresh]) => changesOf(module, fresh));
    const append = changes.flatMap((change) => change.append);
    const wait = changes.flatMap((change) => change.wait);
    const leave = changes.flatMap((change) => change.leave);
    try {
      const { complete } = store;
      if (!complete || retain.length + append.length + wait.length + leave.length > 0)
        await store.retainTogether(retain, { append, wait, leave });
      if (!complete) await store.rebuilt();
    } catch (error) {
      for (const [module, fresh] of modules) {
        const later = freshOf(module);
        for (const [key, block] of fresh) later.set(key, block);
      }
      throw error;
    }
  }

  function flush(first?: () => Promise<RetentionChange[]>): Promise<void> {
    flushing = flushing.catch(() => {}).then(() => write(first));
    return flushing;
  }

  /** Versions and contributions among all blocks on this disk that no log has. */
  async function* outsideLogs(): AsyncGenerator<Block> {
    for await (const bytes of store.all()) {
      const kind = kindOf(bytes);
      if (kind !== Version.kind && kind?.startsWith(Contribution.kind) !== true) continue;
      const cid = dagCborCid(bytes);
      if (!store.records.has(cid)) yield { cid, bytes };
    }
  }

  return {
    add(module, block) {
      if (!store.records.has(block.cid)) freshOf(module).set(block.cid.toString(), block);
    },
    async block(cid) {
      const local = await store.local(cid);
      if (local !== undefined) return local;
      await flush();
      return store.local(cid);
    },
    flush,
    async *restore() {
      for (const module of lineages.keys())
        for await (const block of store.records.entries(module)) yield { ...block, verified: true };
      if (!store.complete)
        for await (const block of outsideLogs()) {
          found.add(block.cid.toString());
          yield { ...block, verified: false };
        }
      for (const module of lineages.keys())
        for (const block of store.records.waiting(module)) yield { ...block, verified: true };
    },
  };
}
