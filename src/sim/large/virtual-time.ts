/** The time of a simulation: planned events happen in order, without waiting for the time between them. */
import type { Random } from "../../random.ts";
import { TimeQueue } from "../../swarm/members/time-queue.ts";

export class VirtualTime {
  /** ms since the start. */
  now = 0;
  readonly #queue = new TimeQueue<() => void>();
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Plans something in so many ms. */
  after(milliseconds: number, run: () => void): void {
    this.#queue.plan(this.now + milliseconds, run);
  }

  /** Repeats something, from a random moment within the first period on. */
  every(milliseconds: number, run: () => void): void {
    const again = (): void => {
      run();
      this.after(milliseconds, again);
    };
    this.after(this.#random.uniform() * milliseconds, again);
  }

  /** Goes on until a time, or until `ended` says so after something that happened; true when that was it. */
  advance(untilMs: number, ended: () => boolean): boolean {
    while (this.#queue.next < untilMs) {
      const event = this.#queue.take()!;
      this.now = event.at;
      event.item();
      if (ended()) return true;
    }
    this.now = untilMs;
    return false;
  }
}
