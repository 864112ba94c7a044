/** Contract a: once nothing new is made, all peers come to the same heads within the periods that they had, and stay. Pure. */
import type { LoggedEvent } from "./event-log.ts";

/** Anti-entropy periods in which all peers agree after the last news. */
const PERIODS = 3;

export interface Agreement {
  /** Milliseconds from the last news until the heads were the same for good; undefined when they differ at the end. */
  milliseconds: number | undefined;
  /** The peer whose heads were the last to equal those of all, or, where heads differ, the last peer to tell any. */
  peer: string | undefined;
}

/**
 * When all peers came to agree for good. News is the end of a fault, or a version that no peer had before: its maker
 * knows it first, so heads differ for a moment with each. A moment of equal heads is no agreement if the heads part
 * again without news.
 */
export function agreement(events: readonly LoggedEvent[], peers: number): Agreement {
  const news = lastNews(events);
  const heads = new Map<string, Map<string, string>>();
  const agree = (): boolean => {
    if (heads.size < peers) return false;
    const digests = [...heads.values()].map((of) => JSON.stringify([...of].toSorted()));
    return new Set(digests).size === 1;
  };
  let since: number | undefined;
  let peer: string | undefined;
  for (const entry of events) {
    if ("fault" in entry) {
      // A peer that is started again tells its heads anew.
      if (entry.fault.kind === "wipe") for (const wiped of entry.fault.peers) heads.delete(wiped);
    } else if (entry.event.type === "head") {
      const { module, cid } = entry.event;
      const own = heads.get(entry.peer) ?? new Map<string, string>();
      // A peer that is started again repeats what it knows.
      if (own.get(module) === cid) continue;
      ({ peer } = entry);
      heads.set(peer, own.set(module, cid));
    } else continue;
    if (!agree()) since = undefined;
    else since ??= entry.at;
  }
  return { milliseconds: since === undefined ? undefined : Math.max(0, since - news), peer };
}

/**
 * Milliseconds from the last news that three periods of anti-entropy take at most, of the peer that was the last to
 * agree. A period ends when its time is over and the exchanges of the peer that are under way then have ended, if they
 * end well: what one exchange takes is up to the machine, and to what else that does.
 */
export function agreementLimitMs(events: readonly LoggedEvent[], peers: number, periodMs: number): number {
  const news = lastNews(events);
  const { peer } = agreement(events, peers);
  const exchanges: { from: number; to: number }[] = [];
  for (const entry of events)
    if ("event" in entry && entry.event.type === "exchange" && entry.peer === peer)
      exchanges.push({ from: entry.at - entry.event.milliseconds, to: entry.at });
  let at = news;
  for (let period = 0; period < PERIODS; period++) {
    const over = at + periodMs;
    at = Math.max(over, ...exchanges.filter(({ from }) => from <= over).map(({ to }) => to));
  }
  return at - news;
}

/** When a fault ended last, or a version was made: whichever was later. */
function lastNews(events: readonly LoggedEvent[]): number {
  const known = new Set<string>();
  let at = 0;
  for (const entry of events) {
    if ("fault" in entry) ({ at } = entry);
    else if (entry.event.type === "version" && !known.has(entry.event.cid)) {
      known.add(entry.event.cid);
      ({ at } = entry);
    }
  }
  return at;
}
