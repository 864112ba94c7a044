/**
 * How long slots stay orphaned. A holder's lease begins to run out when a fault silences it, at the latest. A
 * takeover time is what passes from that moment to the first claim of another peer on the slot, less the time
 * after the expiry in which every live peer held a lease itself, since nobody could take over then. No takeover
 * is counted when the holder is back, or done, before anybody else claims. Pure: times (ms) come with the events.
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
  /** Names of who held it, and of who took over. */
  from: string;
  by: string;
  /** When the holder was struck, ms. */
  since: number;
  /** The takeover time, ms. */
  milliseconds: number;
}

export interface Takeovers {
  /** A peer was killed, paused, wiped or cut off. */
  struck(at: number, peer: string): void;
  /** A peer is heard again. */
  back(at: number, peer: string): void;
  lease(at: number, peer: string, event: LeaseEvent): void;
  all(): Takeover[];
}

interface Orphan {
  holder: string;
  since: number;
  /** Time after the expiry in which a live peer was idle. */
  idle: number;
}

export function createTakeovers(leaseMs: number): Takeovers {
  /** Slots that each peer holds, also of peers that are down. */
  const held = new Map<string, Set<string>>();
  const down = new Set<string>();
  const orphans = new Map<string, Orphan>();
  const all: Takeover[] = [];
  let clock = 0;

  const someoneIdle = (): boolean => [...held].some(([peer, slots]) => !down.has(peer) && slots.size === 0);

  /** Lets time pass, in which nothing changed. */
  function advance(at: number): void {
    if (someoneIdle())
      for (const orphan of orphans.values())
        orphan.idle += Math.max(0, at - Math.max(clock, orphan.since + leaseMs));
    clock = at;
  }

  function slotsOf(peer: string): Set<string> {
    const slots = held.get(peer) ?? new Set<string>();
    held.set(peer, slots);
    return slots;
  }

  return {
    struck(at, peer) {
      advance(at);
      down.add(peer);
      for (const slot of slotsOf(peer))
        if (!orphans.has(slot)) orphans.set(slot, { holder: peer, since: at, idle: 0 });
    },
    back(at, peer) {
      advance(at);
      down.delete(peer);
      slotsOf(peer);
      for (const [slot, orphan] of orphans) if (orphan.holder === peer) orphans.delete(slot);
    },
    lease(at, peer, { state, round, path, replica }) {
      advance(at);
      const slot = `${round}/${path}/${replica}`;
      const orphan = orphans.get(slot);
      if (state === "abandoned" || state === "completed") {
        slotsOf(peer).delete(slot);
        if (orphan?.holder === peer) orphans.delete(slot);
        return;
      }
      slotsOf(peer).add(slot);
      if (orphan === undefined) return;
      // What a peer behind the same cut does is none: its side still hears the holder.
      if (orphan.holder !== peer && down.has(peer)) return;
      orphans.delete(slot);
      const { holder, since, idle } = orphan;
      if (holder !== peer)
        all.push({ slot, from: holder, by: peer, since, milliseconds: Math.min(at - since, leaseMs + idle) });
    },
    all: () => [...all],
  };
}

/** Median (the upper of two) and maximum; null of nothing. */
export function summarise(times: readonly number[]): { median: number; max: number } | null {
  if (times.length === 0) return null;
  const sorted = times.toSorted((a, b) => a - b);
  return { median: sorted[sorted.length >> 1]!, max: sorted.at(-1)! };
}
