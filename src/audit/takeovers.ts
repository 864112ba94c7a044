/**
 * How long slots stay orphaned. A holder's lease begins to run out when a fault silences it, at the latest. A
 * takeover time is what passes from that moment to the first claim of another peer on the slot, less the time
 * after the expiry in which no live peer was free: each held a lease itself, or had just started and still listened
 * to the others, as it does for three heartbeats before its first claim. No takeover is counted when the holder is
 * back, or the slot done, before anybody else claims, nor of a lease that was held while nobody else was there to hear
 * of it. Pure: times (ms) come with the events.
 */
export interface LeaseEvent {
  state: "claimed" | "started" | "abandoned" | "completed";
  round: number;
  path: number;
  replica: number;
}

/** One slot that passed from a peer that a fault silenced to another. */
export interface Takeover {
  /** `round/path/replica`. */
  slot: string;
  /** Names of the peer that held it, and of the peer that took it over. */
  from: string;
  by: string;
  /** When the holder was struck, ms. */
  since: number;
  /** The takeover time, ms. */
  milliseconds: number;
}

/** Why a peer is not heard: its process does not run, or it is cut off. It can be both. */
export type Silence = "halted" | "cut";

export interface Takeovers {
  struck(at: number, peer: string, silence: Silence): void;
  /** What silenced the peer is over; unless something else does, it is heard again, with the leases it had. */
  over(at: number, peer: string, silence: Silence): void;
  /** A peer's process began, anew or again: it holds nothing. */
  started(at: number, peer: string): void;
  lease(at: number, peer: string, event: LeaseEvent): void;
  isSilent(peer: string): boolean;
  all(): Takeover[];
}

interface Orphan {
  holder: string;
  since: number;
  /** Time after the expiry in which a live peer was free. */
  idle: number;
}

/** @param listenMs how long a peer that has started listens before its first claim */
export function createTakeovers({ leaseMs, listenMs }: { leaseMs: number; listenMs: number }): Takeovers {
  /** Slots that each peer holds, also of peers that are silent, and whether another peer could hear of it. */
  const held = new Map<string, Map<string, boolean>>();
  const silent = new Map<string, Set<Silence>>();
  /** Until when each peer listens. */
  const listening = new Map<string, number>();
  const orphans = new Map<string, Orphan>();
  const all: Takeover[] = [];
  let clock = 0;

  const isSilent = (peer: string): boolean => (silent.get(peer)?.size ?? 0) > 0;

  /** Lets time pass, in which nothing changed but that peers stopped listening. */
  function advance(at: number): void {
    const idle = [...held].filter(([peer, slots]) => !isSilent(peer) && slots.size === 0);
    const free = Math.min(...idle.map(([peer]) => listening.get(peer) ?? 0));
    for (const orphan of orphans.values())
      orphan.idle += Math.max(0, at - Math.max(clock, free, orphan.since + leaseMs));
    clock = at;
    const heard = [...held].filter(([peer]) => !isSilent(peer));
    if (heard.length > 1)
      for (const [, slots] of heard) for (const slot of slots.keys()) slots.set(slot, true);
  }

  function slotsOf(peer: string): Map<string, boolean> {
    const slots = held.get(peer) ?? new Map<string, boolean>();
    held.set(peer, slots);
    return slots;
  }

  const over: Takeovers["over"] = (at, peer, silence) => {
    advance(at);
    silent.get(peer)?.delete(silence);
    if (isSilent(peer)) return;
    for (const [slot, orphan] of orphans) if (orphan.holder === peer) orphans.delete(slot);
  };

  return {
    over,
    started(at, peer) {
      over(at, peer, "halted");
      held.set(peer, new Map());
      listening.set(peer, at + listenMs);
    },
    struck(at, peer, silence) {
      advance(at);
      silent.set(peer, (silent.get(peer) ?? new Set()).add(silence));
      for (const [slot, heard] of slotsOf(peer))
        if (heard && !orphans.has(slot)) orphans.set(slot, { holder: peer, since: at, idle: 0 });
    },
    lease(at, peer, { state, round, path, replica }) {
      advance(at);
      const slot = `${round}/${path}/${replica}`;
      const orphan = orphans.get(slot);
      if (state === "abandoned" || state === "completed") {
        slotsOf(peer).delete(slot);
        // A peer that completes it leaves nothing to take over.
        if (state === "completed" || orphan?.holder === peer) orphans.delete(slot);
        return;
      }
      const slots = slotsOf(peer);
      slots.set(slot, slots.get(slot) ?? false);
      if (orphan === undefined) return;
      // A peer behind the same cut takes nothing over: its side still hears the holder.
      if (orphan.holder !== peer && isSilent(peer)) return;
      orphans.delete(slot);
      const { holder, since, idle } = orphan;
      if (holder !== peer)
        all.push({ slot, from: holder, by: peer, since, milliseconds: Math.min(at - since, leaseMs + idle) });
    },
    isSilent,
    all: () => [...all],
  };
}

/** Median (the upper of two) and maximum; null of nothing. */
export function summarise(times: readonly number[]): { median: number; max: number } | null {
  if (times.length === 0) return null;
  const sorted = times.toSorted((a, b) => a - b);
  return { median: sorted[sorted.length >> 1]!, max: sorted.at(-1)! };
}
