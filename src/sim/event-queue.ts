/** What will happen, in order of time and, at one time, of being planned: a binary heap. */

interface Event {
  at: number;
  order: number;
  run: () => void;
}

export class EventQueue {
  readonly #heap: Event[] = [];
  #order = 0;

  /** Plans something for a time (ms). */
  plan(at: number, run: () => void): void {
    const event = { at, order: this.#order++, run };
    let index = this.#heap.length;
    while (index > 0) {
      const above = (index - 1) >> 1;
      if (!isBefore(event, this.#heap[above]!)) break;
      this.#heap[index] = this.#heap[above]!;
      index = above;
    }
    this.#heap[index] = event;
  }

  /** When the next event is; infinite when there is none. */
  get next(): number {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  /** Takes the next event out. */
  take(): Event | undefined {
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

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
