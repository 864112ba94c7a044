/**
 * Holders that did not answer lately, over all fetches: a peer that hangs with its connections open is asked for
 * nothing that another one can give, or it would delay every new fetch as long as the first.
 */

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
  const since = new Map<string, number>();
  return {
    add(holder, now) {
      since.delete(holder);
      since.set(holder, now);
      if (since.size > MAX_SUSPECTS) since.delete(since.keys().next().value!);
    },
    clear: (holder) => void since.delete(holder),
    has: (holder, now) => now - (since.get(holder) ?? Number.NEGATIVE_INFINITY) < SUSPICION_MS,
  };
}
