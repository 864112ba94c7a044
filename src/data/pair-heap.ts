/** A binary max-heap of pairs by count; ties go to the lower pair, so that training is deterministic. */
export class PairHeap {
  #pairs: number[] = [];
  #counts: number[] = [];

  push(pair: number, count: number): void {
    let at = this.#pairs.length;
    this.#pairs.push(pair);
    this.#counts.push(count);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(at, parent)) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  /** Takes the top; undefined when empty. */
  pop(): { pair: number; count: number } | undefined {
    const pair = this.#pairs[0];
    const count = this.#counts[0];
    if (pair === undefined || count === undefined) return undefined;
    this.#swap(0, this.#pairs.length - 1);
    this.#pairs.pop();
    this.#counts.pop();
    let at = 0;
    for (;;) {
      let first = at;
      for (const child of [2 * at + 1, 2 * at + 2])
        if (child < this.#pairs.length && this.#before(child, first)) first = child;
      if (first === at) return { pair, count };
      this.#swap(at, first);
      at = first;
    }
  }

  #before(a: number, b: number): boolean {
    const difference = this.#counts[a]! - this.#counts[b]!;
    return difference === 0 ? this.#pairs[a]! < this.#pairs[b]! : difference > 0;
  }

  #swap(a: number, b: number): void {
    [this.#pairs[a], this.#pairs[b]] = [this.#pairs[b]!, this.#pairs[a]!];
    [this.#counts[a], this.#counts[b]] = [this.#counts[b]!, this.#counts[a]!];
  }
}
