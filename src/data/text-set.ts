import { NumberList } from "./number-list.ts";

/** Numbers distinct texts by 64 bits of their hashes; a Set of strings takes ten times as much and ends at 2^24. */
export class TextSet {
  readonly #high = new NumberList();
  readonly #low = new NumberList();
  /** Number of a text + 1, at the place that its hash says or behind it; 0 is free. */
  #slots = new Uint32Array(1 << 10);

  get size(): number {
    return this.#high.length;
  }

  /** The number of a text; the next one for a text that is new. */
  add(high: number, low: number): number {
    if (2 * this.size >= this.#slots.length) this.#grow();
    const slot = this.#slotOf(high, low);
    if (this.#slots[slot] === 0) {
      this.#high.push(high);
      this.#low.push(low);
      this.#slots[slot] = this.size;
    }
    return this.#slots[slot]! - 1;
  }

  /** Whether text `number` has this hash. */
  is(number: number, high: number, low: number): boolean {
    return this.#high.at(number) === high && this.#low.at(number) === low;
  }

  #slotOf(high: number, low: number): number {
    const last = this.#slots.length - 1;
    let slot = (high & last) >>> 0;
    for (let held = this.#slots[slot]!; held !== 0; held = this.#slots[slot]!) {
      if (this.is(held - 1, high, low)) break;
      slot = (slot + 1) & last;
    }
    return slot;
  }

  #grow(): void {
    this.#slots = new Uint32Array(2 * this.#slots.length);
    for (let number = 0; number < this.size; number++)
      this.#slots[this.#slotOf(this.#high.at(number), this.#low.at(number))] = number + 1;
  }
}
