/** Contract a, in the periods that the peers had. Pure. */
import type { LoggedEvent } from "./event-log.ts";

/** Anti-entropy periods in which all peers agree after the last fault. */
const PERIODS = 3;

/**
 * Milliseconds from the last fault's end until all peers had the same heads for the first time (contract a), or
 * undefined when they never had.
 */
export function agreementMs(events: readonly LoggedEvent[], peers: number): number | undefined {
  const last = lastFault(events);
  const heads = new Map<string, Map<string, string>>();
  const agree = (): boolean => {
    if (heads.size < peers) return false;
    const digests = [...heads.values()].map((of) => JSON.stringify([...of].toSorted()));
    return new Set(digests).size === 1;
  };
  for (const [index, entry] of events.entries()) {
    if ("fault" in entry) {
      // A peer that is started again tells its heads anew.
      if (entry.fault.kind === "wipe") for (const peer of entry.fault.peers) heads.delete(peer);
    } else if (entry.event.type === "head") {
      const { module, cid } = entry.event;
      heads.set(entry.peer, (heads.get(entry.peer) ?? new Map<string, string>()).set(module, cid));
    }
    const next = events[index + 1]?.at ?? Number.POSITIVE_INFINITY;
    if (next > last && agree()) return Math.max(0, entry.at - last);
  }
  return undefined;
}

/**
 * Milliseconds from the last fault's end that three periods of anti-entropy take at most, of the peer whose periods are
 * longest. A period ends when its time is over and no exchange of the peer is under way that then ends well: what one
 * exchange takes is up to the machine, and to what else that does.
 */
export function agreementLimitMs(events: readonly LoggedEvent[], periodMs: number): number {
  const last = lastFault(events);
  const exchanges = new Map<string, { from: number; to: number }[]>();
  for (const entry of events)
    if ("event" in entry && entry.event.type === "exchange") {
      const { milliseconds } = entry.event;
      const of = exchanges.get(entry.peer) ?? [];
      exchanges.set(entry.peer, [...of, { from: entry.at - milliseconds, to: entry.at }]);
    }
  const limits = [[], ...exchanges.values()].map((of) => {
    let at = last;
    for (let period = 0; period < PERIODS; period++) {
      at += periodMs;
      for (const { from, to } of of) if (from <= at) at = Math.max(at, to);
    }
    return at - last;
  });
  return Math.max(...limits);
}

function lastFault(events: readonly LoggedEvent[]): number {
  return events.findLast((event) => "fault" in event)?.at ?? 0;
}
