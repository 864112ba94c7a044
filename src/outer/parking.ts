/**
 * Things that wait for something unknown. Versions are unsigned and bases may be invented, so the pool
 * is bounded: the oldest are forgotten first, and anti-entropy brings back what was real.
 */
import type { CID } from "multiformats/cid";

interface Parked<T> {
  item: T;
  size: number;
  missing: CID;
}

export class Parking<T extends { cid: CID }> {
  readonly #capacity: number;
  #size = 0;
  /** By own CID, oldest first. */
  readonly #parked = new Map<string, Parked<T>>();
  /** CIDs of parked items by the CID they wait for. */
  readonly #waiting = new Map<string, Set<string>>();

  /** Holds items of at most `capacity` size in sum. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Parks an item until `missing` arrives; parking it again only changes what it waits for. */
  park(item: T, size: number, missing: CID): void {
    this.#drop(item.cid.toString());
    this.#parked.set(item.cid.toString(), { item, size, missing });
    this.#size += size;
    const waiting = this.#waiting.get(missing.toString());
    if (waiting === undefined) this.#waiting.set(missing.toString(), new Set([item.cid.toString()]));
    else waiting.add(item.cid.toString());
    for (const oldest of this.#parked.keys()) {
      if (this.#size <= this.#capacity) break;
      this.#drop(oldest);
    }
  }

  /** Takes out everything that waited for `arrived`. */
  take(arrived: CID): T[] {
    const items: T[] = [];
    for (const cid of this.#waiting.get(arrived.toString()) ?? []) {
      const parked = this.#parked.get(cid);
      if (parked !== undefined) items.push(parked.item);
    }
    for (const item of items) this.#drop(item.cid.toString());
    return items;
  }

  /** What is parked, oldest first. */
  cids(): CID[] {
    return [...this.#parked.values()].map(({ item }) => item.cid);
  }

  /** What parked items wait for, each once. */
  missing(): CID[] {
    const missing = new Map(
      [...this.#parked.values()].map((parked) => [parked.missing.toString(), parked.missing]),
    );
    return [...missing.values()];
  }

  #drop(cid: string): void {
    const parked = this.#parked.get(cid);
    if (parked === undefined) return;
    this.#parked.delete(cid);
    this.#size -= parked.size;
    const waiting = this.#waiting.get(parked.missing.toString());
    waiting?.delete(cid);
    if (waiting?.size === 0) this.#waiting.delete(parked.missing.toString());
  }
}
