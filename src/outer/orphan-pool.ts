/**
 * Things that wait for something unknown. Versions are unsigned and bases may be invented, so the pool
 * is bounded: the oldest are forgotten first, and anti-entropy brings back what was real.
 */
import { LRUCache } from "lru-cache";
import type { CID } from "multiformats/cid";

interface Orphan<T> {
  item: T;
  missing: CID;
}

export class OrphanPool<T extends { cid: CID }> {
  /** By own CID. */
  readonly #orphans: LRUCache<string, Orphan<T>>;
  /** CIDs of orphans by the CID they wait for. */
  readonly #waiting = new Map<string, Set<string>>();

  /** Holds items of at most `capacity` size in sum. */
  constructor(capacity: number) {
    this.#orphans = new LRUCache({
      maxSize: capacity,
      dispose: ({ missing }, cid) => {
        const waiting = this.#waiting.get(missing.toString());
        waiting?.delete(cid);
        if (waiting?.size === 0) this.#waiting.delete(missing.toString());
      },
    });
  }

  /** Keeps an item until `missing` arrives; adding it again only changes what it waits for. */
  add(item: T, size: number, missing: CID): void {
    const cid = item.cid.toString();
    this.#orphans.delete(cid);
    this.#orphans.set(cid, { item, missing }, { size });
    if (!this.#orphans.has(cid)) return;
    const waiting = this.#waiting.get(missing.toString());
    if (waiting === undefined) this.#waiting.set(missing.toString(), new Set([cid]));
    else waiting.add(cid);
  }

  /** Takes out everything that waited for `arrived`. */
  take(arrived: CID): T[] {
    const cids = [...(this.#waiting.get(arrived.toString()) ?? [])];
    const items = cids.map((cid) => this.#orphans.peek(cid)!.item);
    for (const cid of cids) this.#orphans.delete(cid);
    return items;
  }

  /** What is in the pool, oldest first. */
  cids(): CID[] {
    return [...this.#orphans.values()].toReversed().map(({ item }) => item.cid);
  }

  /** What orphans wait for, each once. */
  missing(): CID[] {
    const missing = [...this.#orphans.values()].toReversed().map((orphan) => orphan.missing);
    return [...new Map(missing.map((cid) => [cid.toString(), cid])).values()];
  }
}
