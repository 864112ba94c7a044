/**
 * The time of a simulated world: one queue of timers for all of its machines. The driver fires the earliest, lets
 * everything that follows from it happen, and goes on to the next; so one seed is one execution.
 */
import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "../../clock.ts";

/** 2026-01-01, when every world begins. */
const EPOCH_MS = 1_767_225_600_000;

interface Timer {
  at: number;
  /** Of two at one time the one that was set first comes first. */
  order: number;
  fire: (() => void) | undefined;
}

export class Timeline implements Clock {
  #now = 0;
  #order = 0;
  /** A binary heap; what is cancelled stays until it comes up. */
  readonly #timers: Timer[] = [];

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
    this.#push(timer);
    return () => {
      timer.fire = undefined;
    };
  }

  /** Lets the world go on until a time, or until `ended` says so after some timer. */
  async run(until: number, ended: () => boolean = () => false): Promise<void> {
    // Whatever was begun before has its turn first.
    await turn();
    while (!ended()) {
      const next = this.#timers[0];
      if (next === undefined || next.at > until) {
        this.#now = Math.max(this.#now, until);
        return;
      }
      this.#pop();
      if (next.fire === undefined) continue;
      this.#now = next.at;
      next.fire();
      // All promises that can go on have gone on when this resolves: nothing in the world waits for anything else.
      await turn();
    }
  }

  #isBefore(a: Timer, b: Timer): boolean {
    return a.at < b.at || (a.at === b.at && a.order < b.order);
  }

  #push(timer: Timer): void {
    const heap = this.#timers;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!this.#isBefore(timer, heap[above]!)) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#timers;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && this.#isBefore(heap[below + 1]!, heap[below]!)) below++;
      if (!this.#isBefore(heap[below]!, last)) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = last;
  }
}
