/** Finds near-equal ones among many sketches, by locality-sensitive hashing of their bands. */
import { BANDS } from "./min-hash.ts";

/** The bands of many sketches. */
export interface BandTable {
  readonly length: number;
  /** The hash of a band of an item; 0 where there is no sketch. */
  band(item: number, band: number): number;
}

/**
 * For each item the lowest item that it is near-equal to, itself if none is; near-equal to a near-equal one counts. Takes 20
 * bytes an item while it works.
 */
export function nearCopies(items: BandTable): Uint32Array {
  const first = Uint32Array.from({ length: items.length }, (_, item) => item);
  const rootOf = (item: number): number => {
    while (first[item] !== item) item = first[item] = first[first[item]!]!;
    return item;
  };
  const slots = 2 ** Math.ceil(Math.log2(2 * items.length + 1));
  const holders = new Uint32Array(slots);
  for (let band = 0; band < BANDS; band++) {
    holders.fill(0);
    for (let item = 0; item < items.length; item++) {
      const hash = items.band(item, band);
      if (hash === 0) continue;
      let slot = hash & (slots - 1);
      while (holders[slot] !== 0 && items.band(holders[slot]! - 1, band) !== hash)
        slot = (slot + 1) & (slots - 1);
      if (holders[slot] === 0) holders[slot] = item + 1;
      else {
        const [a, b] = [rootOf(item), rootOf(holders[slot]! - 1)];
        first[Math.max(a, b)] = Math.min(a, b);
      }
    }
  }
  for (let item = 0; item < first.length; item++) first[item] = rootOf(item);
  return first;
}
