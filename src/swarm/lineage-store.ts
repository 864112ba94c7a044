/**
 * The lineage on disk. Its blocks are in the store; which of them belong to a module is the store's record of
 * what `lineage:<module>` retains. So small records are never swept, and a restart needs no other index.
 */
import type { CID } from "multiformats/cid";
import type { Block } from "../objects/object.ts";
import type { Lineage } from "../outer/lineage.ts";
import type { Store } from "../store/types.ts";

export interface LineageStore {
  /** Writes the block of a version or contribution; `flush` makes it part of the lineage on disk. */
  add(module: string, block: Block): Promise<void>;
  /** The block of a known version or contribution. */
  block(cid: CID): Promise<Uint8Array | undefined>;
  /** Resolves when all records that the lineages hold now would survive a crash. */
  flush(): Promise<void>;
  /** Blocks of a module as they were at the last flush, in any order. */
  restore(module: string): AsyncGenerator<Uint8Array>;
}

export function createLineageStore(store: Store, lineages: ReadonlyMap<string, Lineage>): LineageStore {
  const dirty = new Set<string>();
  let flushing: Promise<void> = Promise.resolve();

  const write = async (): Promise<void> => {
    const modules = [...dirty];
    dirty.clear();
    for (const module of modules) {
      const lineage = lineages.get(module)!;
      const cids = [...lineage.versions(), ...lineage.contributions()].map((record) => record.cid);
      try {
        await store.retain(owner(module), cids);
      } catch (error) {
        dirty.add(module);
        throw error;
      }
    }
  };

  return {
    async add(module, block) {
      await store.put([block]);
      dirty.add(module);
    },
    block: (cid) => store.local(cid),
    flush() {
      flushing = flushing.catch(() => {}).then(write);
      return flushing;
    },
    async *restore(module) {
      for (const cid of await store.retained(owner(module))) {
        const bytes = await store.local(cid);
        if (bytes !== undefined) yield bytes;
      }
    },
  };
}

function owner(module: string): string {
  return `lineage:${module}`;
}
