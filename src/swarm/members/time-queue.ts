/** What is to be done or looked at, in order of time and, at one time, of being planned: a binary heap. */

interface Entry<T> {
  at: number;
  order: number;
  item: T;
}

export class TimeQueue<T> {
  readonly #heap: Entry<T>[] = [];
  #order = 0;

  /** Plans something for a time (ms). */
  plan(at: number, item: T): void {
    const entry = { at, order: this.#order++, item };
    let index = this.#heap.length;
    while (index > 0) {
      const above = (index - 1) >> 1;
      if (!isBefore(entry, this.#heap[above]!)) break;
      this.#heap[index] = this.#heap[above]!;
      index = above;
    }
    this.#heap[index] = entry;
  }

  /** When the next one is due; infinite when there is none. */
  get next(): number {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  /** Takes the next one out. */
  take(): Entry<T> | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (first === undefined || last === undefined || first === last) return first;
    const { length } = this.#heap;
    let index = 0;
    for (let below = 1; below < length; below = 2 * index + 1) {
      if (below + 1 < length && isBefore(this.#heap[below + 1]!, this.#heap[below]!)) below++;
      if (!isBefore(this.#heap[below]!, last)) break;
      this.#heap[index] = this.#heap[below]!;
      index = below;
    }
    this.#heap[index] = last;
    return first;
  }
}

function isBefore<T>(a: Entry<T>, b: Entry<T>): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
