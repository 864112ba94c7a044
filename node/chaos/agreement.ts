/** Contract a, in the periods that the peers had. Pure. */
import type { LoggedEvent } from "./event-log.ts";

/** Anti-entropy periods in which all peers agree after the last fault. */
const PERIODS = 3;

interface Agreement {
  /** Milliseconds from the last fault's end. */
  milliseconds: number;
  /** Whose heads were the last to be those of all. */
  peer: string | undefined;
}

/**
 * Milliseconds from the last fault's end until all peers had the same heads for the first time (contract a), or
 * undefined when they never had.
 */
export function agreementMs(events: readonly LoggedEvent[], peers: number): number | undefined {
  return agreement(events, peers)?.milliseconds;
}

function agreement(events: readonly LoggedEvent[], peers: number): Agreement | undefined {
  const last = lastFault(events);
  const heads = new Map<string, Map<string, string>>();
  const agree = (): boolean => {
    if (heads.size < peers) return false;
    const digests = [...heads.values()].map((of) => JSON.stringify([...of].toSorted()));
    return new Set(digests).size === 1;
  };
  let peer: string | undefined;
  for (const [index, entry] of events.entries()) {
    if ("fault" in entry) {
      // A peer that is started again tells its heads anew.
      if (entry.fault.kind === "wipe") for (const wiped of entry.fault.peers) heads.delete(wiped);
    } else if (entry.event.type === "head") {
      const { module, cid } = entry.event;
      ({ peer } = entry);
      heads.set(peer, (heads.get(peer) ?? new Map<string, string>()).set(module, cid));
    }
    const next = events[index + 1]?.at ?? Number.POSITIVE_INFINITY;
    if (next > last && agree()) return { milliseconds: Math.max(0, entry.at - last), peer };
  }
  return undefined;
}

/**
 * Milliseconds from the last fault's end that three periods of anti-entropy take at most, of the peer that was the last
 * to agree, or of the last that told its heads where they never agreed. A period ends when its time is over and the
 * exchanges of the peer that are under way then have ended, if they end well: what one exchange takes is up to the
 * machine, and to what else that does.
 */
export function agreementLimitMs(events: readonly LoggedEvent[], peers: number, periodMs: number): number {
  const last = lastFault(events);
  const { peer } = agreement(events, peers) ?? events.findLast(isHead) ?? {};
  const exchanges: { from: number; to: number }[] = [];
  for (const entry of events)
    if ("event" in entry && entry.event.type === "exchange" && entry.peer === peer)
      exchanges.push({ from: entry.at - entry.event.milliseconds, to: entry.at });
  let at = last;
  for (let period = 0; period < PERIODS; period++) {
    const over = at + periodMs;
    at = Math.max(over, ...exchanges.filter(({ from }) => from <= over).map(({ to }) => to));
  }
  return at - last;
}

function isHead(entry: LoggedEvent): entry is LoggedEvent & { peer: string } {
  return "event" in entry && entry.event.type === "head";
}

function lastFault(events: readonly LoggedEvent[]): number {
  return events.findLast((event) => "fault" in event)?.at ?? 0;
}
