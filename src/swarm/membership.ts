/**
 * Who is alive. Pure: time comes in as `now`, in milliseconds of the local clock; peers' clocks are
 * never compared.
 */
import type { Heartbeat } from "./messages.ts";

const MAX_INTERVALS = 32;
/** Deviations over the median that a heartbeat may be late; hivemind#676 asks for median + k·MAD. */
const DEVIATIONS = 8;

export interface Member {
  peer: string;
  heartbeat: Heartbeat;
  lastSeen: number;
  /** Recent times between arrivals, ms. */
  intervals: number[];
  /** Milliseconds without a heartbeat after which the peer counts as gone; follows from the intervals. */
  timeout: number;
}

export interface Membership {
  /** Records a heartbeat; false when it is a replay or older than the last one. */
  heard(peer: string, heartbeat: Heartbeat, now: number): boolean;
  member(peer: string): Member | undefined;
  /** Members whose last heartbeat is within their liveness timeout, by peer id. */
  live(now: number): Member[];
  /** Milliseconds without a heartbeat after which the peer counts as gone. */
  timeout(peer: string): number;
  /** Drops a member at once. */
  forget(peer: string): void;
  /** Drops members that have been gone for ten timeouts. */
  prune(now: number): void;
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

/** @param heartbeatMs the run's heartbeat period, used until enough arrivals are known */
export function createMembership(heartbeatMs: number): Membership {
  const members = new Map<string, Member>();

  const timeoutOf = (intervals: number[]): number => {
    if (intervals.length < 4) return 4 * heartbeatMs;
    const middle = median(intervals);
    const deviation = median(intervals.map((interval) => Math.abs(interval - middle)));
    // A claim sends a heartbeat out of turn, so short intervals are normal; the period is the least to expect.
    return 2 * heartbeatMs + Math.max(middle, heartbeatMs) + DEVIATIONS * deviation;
  };
  const timeout = (peer: string): number => members.get(peer)?.timeout ?? timeoutOf([]);

  return {
    heard(peer, heartbeat, now) {
      const known = members.get(peer);
      if (known !== undefined && heartbeat.sequence <= known.heartbeat.sequence) return false;
      const intervals = known?.intervals ?? [];
      if (known !== undefined) intervals.push(now - known.lastSeen);
      if (intervals.length > MAX_INTERVALS) intervals.shift();
      members.set(peer, { peer, heartbeat, lastSeen: now, intervals, timeout: timeoutOf(intervals) });
      return true;
    },
    member: (peer) => members.get(peer),
    live: (now) =>
      [...members.values()]
        .filter((m) => !m.heartbeat.leaving && now - m.lastSeen <= m.timeout)
        .toSorted((a, b) => (a.peer < b.peer ? -1 : 1)),
    timeout,
    forget: (peer) => void members.delete(peer),
    prune(now) {
      for (const m of members.values()) if (now - m.lastSeen > 10 * m.timeout) members.delete(m.peer);
    },
  };
}
