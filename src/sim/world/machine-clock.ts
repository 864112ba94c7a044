/**
 * The clock of one machine: it runs a little fast or slow, is set forward and back, stands still while the machine is
 * suspended, and holds the timers of a process that is paused.
 */
import type { Clock } from "../../clock.ts";
import type { Timeline } from "./timeline.ts";

/** No timer of Node.js is shorter. Whoever waits for the rest of a time that rounding left would wait for ever without it. */
const LEAST_MS = 1;

interface Pending {
  /** On the timeline. */
  due: number;
  callback: () => void;
  cancel: () => void;
}

export interface MachineClockInit {
  timeline: Timeline;
  /** What the monotonic clock says at the beginning, in ms. */
  since: number;
  /** By how much of a second the wall clock gains in a second. */
  drift: number;
}

/** How a machine stands still: `paused`, its clocks go on; `suspended`, its monotonic clock stops, too. */
export type Standstill = "paused" | "suspended";

export class MachineClock {
  readonly #timeline: Timeline;
  readonly #since: number;
  readonly #drift: number;
  /** By how much the wall clock was set, in ms. */
  #set = 0;
  /** Time that the monotonic clock has missed, in ms. */
  #missed = 0;
  #standstill: { kind: Standstill; since: number } | undefined;
  #pending = new Set<Pending>();

  constructor({ timeline, since, drift }: MachineClockInit) {
    this.#timeline = timeline;
    this.#since = since;
    this.#drift = drift;
  }

  /** Sets the wall clock forward, or back. */
  set(milliseconds: number): void {
    this.#set += milliseconds;
  }

  stop(kind: Standstill): void {
    if (this.#standstill !== undefined) return;
    this.#standstill = { kind, since: this.#timeline.now() };
    for (const { cancel } of this.#pending) cancel();
  }

  /** Whatever came due meanwhile comes now, in order; after a suspension timers have as long to go as before. */
  resume(): void {
    if (this.#standstill === undefined) return;
    const { kind, since } = this.#standstill;
    const stood = this.#timeline.now() - since;
    this.#standstill = undefined;
    if (kind === "suspended") this.#missed += stood;
    for (const pending of [...this.#pending].toSorted((a, b) => a.due - b.due)) {
      if (kind === "suspended") pending.due += stood;
      this.#schedule(pending);
    }
  }

  /** A clock for the process that runs now; after its end none of its timers fires. */
  open(): { clock: Clock; close: () => void } {
    let open = true;
    const mine = new Set<Pending>();
    const clock: Clock = {
      now: () => {
        const still = this.#standstill;
        const at = still?.kind === "suspended" ? still.since : this.#timeline.now();
        return this.#since + at - this.#missed;
      },
      wall: () => Math.floor(this.#timeline.wall() + this.#timeline.now() * this.#drift) + this.#set,
      after: (milliseconds, callback) => {
        if (!open) return () => {};
        const pending: Pending = {
          due: this.#timeline.now() + Math.max(LEAST_MS, milliseconds),
          cancel: () => {},
          callback: () => {
            mine.delete(pending);
            callback();
          },
        };
        mine.add(pending);
        this.#pending.add(pending);
        if (this.#standstill === undefined) this.#schedule(pending);
        return () => {
          mine.delete(pending);
          this.#drop(pending);
        };
      },
    };
    const close = (): void => {
      open = false;
      for (const pending of mine) this.#drop(pending);
    };
    return { clock, close };
  }

  #schedule(pending: Pending): void {
    pending.cancel = this.#timeline.after(pending.due - this.#timeline.now(), () => {
      this.#pending.delete(pending);
      pending.callback();
    });
  }

  #drop(pending: Pending): void {
    pending.cancel();
    this.#pending.delete(pending);
  }
}
