/** What is to be done or looked at, in order of time and, at one time, of being planned. */
import TinyQueue from "tinyqueue";

interface Entry<T> {
  at: number;
  order: number;
  item: T;
}

export class TimeQueue<T> {
  readonly #entries = new TinyQueue<Entry<T>>([], (a, b) =>
    a.at === b.at ? a.order - b.order : a.at - b.at,
  );
  #order = 0;

  /** Plans something for a time (ms). */
  plan(at: number, item: T): void {
    this.#entries.push({ at, order: this.#order++, item });
  }

  /** When the next one is due; infinite when there is none. */
  get next(): number {
    return this.#entries.peek()?.at ?? Number.POSITIVE_INFINITY;
  }

  /** Takes the next one out. */
  take(): Entry<T> | undefined {
    return this.#entries.pop();
  }
}
