/**
 * Claims on slots. A lease is a line in its holder's heartbeats; it lives for the lease time after the last
 * heartbeat that named it. Pure: time comes in as `now` (ms).
 */
import { SLOT_KEYS } from "../../objects/slot.ts";
import { hash64 } from "../../random.ts";
import type { LeaseNotice } from "../messages.ts";
import { slotKey } from "../../plan/slots.ts";
import type { Slot } from "../../plan/types.ts";

/**
 * Milliseconds between two looks of a peer at what it should do: what is due, a lease that may start or one that has
 * expired, is done up to this much later.
 */
export const TICK_MS = 500;

/** When the progress of a slot last rose by a hundredth, and to what. */
export interface Advance {
  moved: number;
  reached: number;
}

export interface Lease extends LeaseNotice, Advance {
  holder: string;
  /** When it was first heard of. */
  since: number;
  expires: number;
  /** From when on it binds nobody unless its progress rises. */
  stalls: number;
}

/** The precedence of a peer on a slot; on conflict the lower one keeps its lease. */
export function precedence(run: string, slot: Slot, peer: string): bigint {
  return hash64("lease", run, ...SLOT_KEYS[slot.work].map((key) => slot[key]), peer);
}

/**
 * Whether a peer should give a slot up to a rival (DESIGN section 4): the one with the higher hash does while it
 * is under half done; and one that has not begun does not start what a rival has half finished.
 */
export function yields(
  run: string,
  slot: Slot,
  own: { peer: string; progress: number },
  rival: { peer: string; progress: number },
): boolean {
  if (own.progress >= 0.5) return false;
  if (own.progress === 0 && rival.progress >= 0.5) return true;
  return precedence(run, slot, own.peer) > precedence(run, slot, rival.peer);
}

export interface Leases {
  /**
   * Replaces what `holder` claims with what its newest heartbeat says.
   * @param leaseMs how long the leases outlive this heartbeat
   */
  heard(holder: string, notices: readonly LeaseNotice[], now: number, leaseMs?: number): void;
  /** Leases that keep others from a slot: unexpired, and of a holder that gets on. */
  on(slot: Slot, now: number): Lease[];
  /** Unexpired leases of a peer. */
  of(holder: string, now: number): Lease[];
  /** Whether `on` has any. */
  binds(slot: Slot, now: number): boolean;
  /** Grows when a lease comes, goes or is cut short; while only time passes, nothing changes before `settled`. */
  readonly revision: number;
  /** Until when no lease expires or stalls, at least (ms). */
  readonly settled: number;
  /** Whether `of` has any. */
  holds(holder: string, now: number): boolean;
  /** Peers that hold leases; some of these may have expired since the last `prune`. */
  readonly holders: number;
  /** Forgets holders whose leases have all expired. */
  prune(now: number): void;
}

/**
 * Lease times without any progress after which a lease binds nobody: its holder hangs, although it still talks.
 * Long enough for fetching weights and shard before the first step; a slot that is done twice is only work lost.
 */
const STALLED_LEASES = 10;
/** Less than this does not count as progress, or a lease could be held for ever by ever smaller steps. */
const MIN_PROGRESS = 0.01;
/** A peer trains one slot at a time, so it cannot keep others from more. */
const LEASES_PER_PEER = 1;

/** How far a slot is, now that its progress is so much. */
export function advance(known: Advance | undefined, progress: number, now: number): Advance {
  const moves = known === undefined || progress >= known.reached + MIN_PROGRESS;
  return moves ? { moved: now, reached: progress } : known;
}

/** From when on whoever is at a slot counts as hanging unless it gets on. */
export function stallsAt({ moved }: Advance, leaseMs: number): number {
  return moved + STALLED_LEASES * leaseMs;
}

/** What a lease means for others: it binds them, only its holder, or nobody. */
function stateOf(lease: Lease | undefined, now: number): "binding" | "stalled" | "none" {
  if (lease === undefined || lease.expires <= now) return "none";
  return now < lease.stalls ? "binding" : "stalled";
}

/** @param defaultMs the run's lease time */
export function createLeases(defaultMs: number): Leases {
  const byHolder = new Map<string, Map<string, Lease>>();
  const bySlot = new Map<string, Map<string, Lease>>();
  let revision = 0;
  let settled = Number.POSITIVE_INFINITY;
  const unexpired = (leases: Map<string, Lease> | undefined, now: number): Lease[] =>
    leases === undefined ? [] : [...leases.values()].filter((lease) => lease.expires > now);

  function forget(holder: string): void {
    for (const key of byHolder.get(holder)?.keys() ?? []) {
      const rivals = bySlot.get(key);
      rivals?.delete(holder);
      if (rivals?.size === 0) bySlot.delete(key);
    }
    byHolder.delete(holder);
  }

  /** Until when time alone changes nothing about a lease. */
  function settledUntil({ expires, stalls }: Lease, now: number): number {
    return now < stalls ? Math.min(expires, stalls) : expires;
  }

  return {
    heard(holder, notices, now, leaseMs = defaultMs) {
      const before = byHolder.get(holder);
      forget(holder);
      if (notices.length === 0) {
        if (before !== undefined) revision++;
        return;
      }
      const leases = new Map<string, Lease>();
      for (const notice of notices.slice(0, LEASES_PER_PEER)) {
        const key = slotKey(notice);
        const known = before?.get(key);
        const { moved, reached } = advance(known, notice.progress, now);
        const times = {
          moved,
          reached,
          expires: now + leaseMs,
          stalls: stallsAt({ moved, reached }, leaseMs),
        };
        const lease = { ...notice, holder, since: known?.since ?? now, ...times };
        leases.set(key, lease);
        if (stateOf(known, now) !== stateOf(lease, now)) revision++;
        settled = Math.min(settled, settledUntil(lease, now));
        bySlot.set(key, (bySlot.get(key) ?? new Map<string, Lease>()).set(holder, lease));
      }
      byHolder.set(holder, leases);
    },
    on: (slot, now) => unexpired(bySlot.get(slotKey(slot)), now).filter((lease) => now < lease.stalls),
    of: (holder, now) => unexpired(byHolder.get(holder), now),
    binds(slot, now) {
      const leases = bySlot.get(slotKey(slot));
      if (leases !== undefined)
        for (const lease of leases.values()) if (stateOf(lease, now) === "binding") return true;
      return false;
    },
    holds(holder, now) {
      const leases = byHolder.get(holder);
      return leases !== undefined && unexpired(leases, now).length > 0;
    },
    get revision() {
      return revision;
    },
    get settled() {
      return settled;
    },
    get holders() {
      return byHolder.size;
    },
    prune(now) {
      if (now < settled) return;
      revision++;
      settled = Number.POSITIVE_INFINITY;
      for (const [holder, leases] of byHolder) {
        const current = unexpired(leases, now);
        if (current.length === 0) forget(holder);
        for (const lease of current) settled = Math.min(settled, settledUntil(lease, now));
      }
    },
  };
}
