/**
 * Holders that did not answer lately, over all fetches: a peer that hangs with its connections open is asked for
 * nothing that another one can give, or it would delay every new fetch as long as the first.
 */
import { boundedMap } from "../bounded-map.ts";

/** Until a holder gets another chance, unless it answers before. */
const SUSPICION_MS = 60_000;
const MAX_SUSPECTS = 1024;

export interface Suspects {
  /** It was silent while another one answered, or for too long. */
  add(holder: string, now: number): void;
  /** It answered. */
  clear(holder: string): void;
  has(holder: string, now: number): boolean;
}

export function createSuspects(): Suspects {
  const since = boundedMap<string, number>(MAX_SUSPECTS);
  return {
    add: (holder, now) => void since.set(holder, now),
    clear: (holder) => void since.delete(holder),
    has: (holder, now) => now - (since.peek(holder) ?? Number.NEGATIVE_INFINITY) < SUSPICION_MS,
  };
}
