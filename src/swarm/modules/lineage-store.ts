/**
 * The lineage on disk. Its blocks are in the store; which of them belong to a module is the store's record of
 * what `lineage:<module>` retains. So small records are never swept, and a restart needs no other index. What waits for
 * others, and so is no part of the lineage yet, `waiting:<module>` retains while it waits. Should these records be lost,
 * every block says itself what it is.
 */
import type { CID } from "multiformats/cid";
import { Contribution } from "../../objects/contribution.ts";
import { type Block, dagCborCid, kindOf } from "../../objects/object.ts";
import { Version } from "../../objects/version.ts";
import type { Lineage } from "../../outer/lineage.ts";
import type { RetentionChange, Store } from "../../store/types.ts";

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
  /** Blocks of all modules as they were at the last flush, in any order, and what waits for others. */
  restore(): AsyncGenerator<Uint8Array>;
}

export function createLineageStore(store: Store, lineages: ReadonlyMap<string, Lineage>): LineageStore {
  /** Modules whose list on disk is old, with the blocks that are not there yet, by CID. */
  const dirty = new Map<string, Map<string, Block>>();
  /** Records of the lineage that were on this disk already. They are kept even while the lineage waits for others that they need. */
  const restored = new Set<string>();
  const kept = new Map<string, CID[]>();
  let flushing: Promise<void> = Promise.resolve();

  function recordsOf(module: string): CID[] {
    const lineage = lineages.get(module)!;
    const known = [...lineage.versions(), ...lineage.contributions()].map(({ cid }) => cid);
    const all = new Map([...known, ...(kept.get(module) ?? [])].map((cid) => [cid.toString(), cid]));
    return [...all.values()];
  }

  async function write(first?: () => Promise<RetentionChange[]>): Promise<void> {
    const changes = (await first?.()) ?? [];
    const modules = [...dirty];
    dirty.clear();
    for (const [module, fresh] of modules) {
      const records = recordsOf(module);
      const listed = new Set(records.map(String));
      const waiting = lineages
        .get(module)!
        .parked()
        .filter((cid) => !listed.has(cid.toString()));
      for (const [name, cids] of [
        [owner(module), records],
        [waitingOwner(module), waiting],
      ] as const) {
        const parts = cids.flatMap((cid) => fresh.get(cid.toString()) ?? []);
        changes.push([name, cids, parts]);
      }
    }
    try {
      if (changes.length > 0) await store.retainTogether(changes);
      if (!store.complete) await store.rebuilt();
    } catch (error) {
      for (const [module, fresh] of modules) {
        const later = freshOf(module);
        for (const [key, block] of fresh) later.set(key, block);
      }
      throw error;
    }
  }

  function freshOf(module: string): Map<string, Block> {
    const fresh = dirty.get(module) ?? new Map<string, Block>();
    dirty.set(module, fresh);
    return fresh;
  }

  async function* stored(): AsyncGenerator<Uint8Array> {
    for await (const bytes of store.all())
      if (kindOf(bytes) === Version.kind || kindOf(bytes)?.startsWith(Contribution.kind)) yield bytes;
  }

  async function* retained(name: string): AsyncGenerator<Uint8Array> {
    for (const cid of await store.retained(name)) {
      const bytes = await store.local(cid);
      if (bytes !== undefined) yield bytes;
    }
  }

  function flush(first?: () => Promise<RetentionChange[]>): Promise<void> {
    flushing = flushing.catch(() => {}).then(() => write(first));
    return flushing;
  }

  return {
    add(module, block) {
      const key = block.cid.toString();
      if (restored.has(key)) {
        kept.set(module, [...(kept.get(module) ?? []), block.cid]);
        if (!store.complete) freshOf(module);
      } else freshOf(module).set(key, block);
    },
    async block(cid) {
      const local = await store.local(cid);
      if (local !== undefined) return local;
      await flush();
      return store.local(cid);
    },
    flush,
    async *restore() {
      const whole = store.complete;
      for (const blocks of whole ? [...lineages.keys()].map((name) => retained(owner(name))) : [stored()])
        for await (const bytes of blocks) {
          restored.add(dagCborCid(bytes).toString());
          yield bytes;
        }
      // Not among the restored: what waits is kept only as long as the lineage lets it wait.
      if (whole) for (const module of lineages.keys()) yield* retained(waitingOwner(module));
    },
  };
}

function owner(module: string): string {
  return `lineage:${module}`;
}

function waitingOwner(module: string): string {
  return `waiting:${module}`;
}
