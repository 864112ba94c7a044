/**
 * The time of a simulated world: one queue of timers for all of its machines. The driver fires the earliest, lets
 * everything that follows from it happen, and goes on to the next; so one seed is one execution.
 */
import { setImmediate as turn } from "node:timers/promises";
import TinyQueue from "tinyqueue";
import type { Clock } from "../../clock.ts";

/** 2026-01-01, when every world begins. */
const EPOCH_MS = 1_767_225_600_000;

/** Many times what the machines of a world have due at one time. */
const MOST_AT_ONCE = 100_000;

interface Timer {
  at: number;
  /** Of two at one time the one that was set first comes first. */
  order: number;
  fire: (() => void) | undefined;
}

export class Timeline implements Clock {
  #now = 0;
  #order = 0;
  /** Timers that have fired at the present time. */
  #atOnce = 0;
  /** What is cancelled stays until it comes up. */
  readonly #timers = new TinyQueue<Timer>([], (a, b) => a.at - b.at || a.order - b.order);

  now(): number {
    return this.#now;
  }

  wall(): number {
    return EPOCH_MS + this.#now;
  }

  after(milliseconds: number, callback: () => void): () => void {
    const timer: Timer = {
      at: this.#now + Math.max(0, milliseconds),
      order: this.#order++,
      fire: callback,
    };
    this.#timers.push(timer);
    return () => {
      timer.fire = undefined;
    };
  }

  /** Throws when ever new timers are due at one time, so that the world would never go on. */
  #step(at: number): void {
    this.#atOnce = at === this.#now ? this.#atOnce + 1 : 0;
    this.#now = at;
    if (this.#atOnce > MOST_AT_ONCE)
      throw new Error(
        `${MOST_AT_ONCE} timers were due at ${at} ms of simulated time: somebody waits for no time again and again.`,
      );
  }

  /** Lets the world go on until a time, or until `ended` says so after some timer. */
  async run(until: number, ended: () => boolean = () => false): Promise<void> {
    // Whatever was begun before has its turn first.
    await turn();
    while (!ended()) {
      const next = this.#timers.peek();
      if (next === undefined || next.at > until) {
        this.#now = Math.max(this.#now, until);
        return;
      }
      this.#timers.pop();
      if (next.fire === undefined) continue;
      this.#step(next.at);
      next.fire();
      // All promises that can go on have gone on when this resolves: nothing in the world waits for anything else.
      await turn();
    }
  }
}
