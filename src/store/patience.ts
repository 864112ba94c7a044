/**
 * How long to wait for a holder that sends nothing. It follows the measured time between its blocks: a
 * constant is too long for a dead peer nearby and too short for a live one behind a slow link.
 */
const UNKNOWN_MS = 30_000;
const SHORTEST_MS = 10_000;
const LONGEST_MS = 120_000;
/** Times the mean gap between blocks. */
const FACTOR = 20;

export interface Patience {
  /** A block of this holder arrived. */
  arrived(now: number): void;
  /** Silence was met; the next one may be twice as long. Returns how often in a row. */
  strike(): number;
  /** Milliseconds of silence, counted from `since` or the last arrival, after which to give up. */
  limit(): number;
  /** Mean milliseconds between blocks; undefined before the second. */
  gap(): number | undefined;
  lastArrival(): number;
}

export function createPatience(): Patience {
  let last = -Infinity;
  let gap: number | undefined;
  let strikes = 0;
  return {
    arrived(now) {
      const current = now - last;
      // Idle time between two fetches is not the holder's.
      if (current < LONGEST_MS) gap = gap === undefined ? current : gap + 0.2 * (current - gap);
      last = now;
      strikes = 0;
    },
    strike: () => ++strikes,
    limit: () => {
      const base = gap === undefined ? UNKNOWN_MS : Math.max(SHORTEST_MS, FACTOR * gap);
      return Math.min(base * 2 ** strikes, LONGEST_MS);
    },
    gap: () => gap,
    lastArrival: () => last,
  };
}
