/**
 * Who is alive. Pure: time comes in as `now`, in milliseconds of the local clock; peers' clocks are
 * never compared.
 */
import type { Heartbeat } from "./messages.ts";

const MAX_INTERVALS = 32;
/** Deviations over the median that a heartbeat may be late; hivemind#676 asks for median + k·MAD. */
const DEVIATIONS = 8;
/** Timeouts after which a peer that is gone is forgotten. */
const GONE = 10;
/** Periods of silence that never end a peer, however punctual it was. */
const LEAST_PERIODS = 3;

/** A peer that has been heard. */
export class Member {
  readonly peer: string;
  heartbeat: Heartbeat;
  lastSeen: number;
  /** Milliseconds to its next heartbeat at the latest, as far as it is believed. */
  period: number;
  /** Recent times between arrivals while its period is the same, ms. */
  #intervals: number[] = [];
  #timeout: number | undefined;

  constructor(peer: string, heartbeat: Heartbeat, now: number, period: number) {
    this.peer = peer;
    this.heartbeat = heartbeat;
    this.lastSeen = now;
    this.period = period;
  }

  /** Milliseconds without a heartbeat after which the peer counts as gone; follows from period and intervals. */
  get timeout(): number {
    this.#timeout ??= timeoutOf(this.period, this.#intervals);
    return this.#timeout;
  }

  /** No timeout is shorter; needs no reckoning. */
  get leastTimeout(): number {
    return LEAST_PERIODS * this.period;
  }

  isLive(now: number): boolean {
    if (this.heartbeat.leaving) return false;
    const silence = now - this.lastSeen;
    return silence <= this.leastTimeout || silence <= this.timeout;
  }

  /** Until when it is live at least, while nothing is heard of it; reckons the timeout only once it matters. */
  deadline(now: number): number {
    const least = this.lastSeen + this.leastTimeout;
    return now <= least ? least : this.lastSeen + this.timeout;
  }

  heard(heartbeat: Heartbeat, now: number, period: number): void {
    if (this.period === period) this.#intervals.push(now - this.lastSeen);
    else this.#intervals = [];
    if (this.#intervals.length > MAX_INTERVALS) this.#intervals.shift();
    this.heartbeat = heartbeat;
    this.lastSeen = now;
    this.period = period;
    this.#timeout = undefined;
  }
}

export interface Membership {
  /**
   * Records a heartbeat; false when it is a replay or older than the last one.
   * @param period milliseconds to the peer's next heartbeat
   */
  heard(peer: string, heartbeat: Heartbeat, now: number, period?: number): boolean;
  member(peer: string): Member | undefined;
  /** Members whose last heartbeat is within their liveness timeout, by peer id; the same array until that changes. */
  live(now: number): readonly Member[];
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

function timeoutOf(period: number, intervals: number[]): number {
  if (intervals.length < 4) return 4 * period;
  const middle = median(intervals);
  const deviation = median(intervals.map((interval) => Math.abs(interval - middle)));
  // A claim sends a heartbeat out of turn, so short intervals are normal; the period is the least to expect.
  return (LEAST_PERIODS - 1) * period + Math.max(middle, period) + DEVIATIONS * deviation;
}

/** @param heartbeatMs the run's heartbeat period */
export function createMembership(heartbeatMs: number): Membership {
  const members = new Map<string, Member>();
  /** All members by peer id, so that no list is ever sorted as a whole. */
  const sorted: Member[] = [];
  /** Who is live, as long as nobody comes, leaves or is overdue. */
  let live: { members: Member[]; from: number; until: number } | undefined;
  /** Before this nobody can have been gone for ten timeouts. */
  let prunable = Number.POSITIVE_INFINITY;

  /** Before this a member that is not heard any more is not dropped; looks at who is long gone only now and then. */
  function prunableFrom(member: Member, now: number): number {
    return Math.max(member.lastSeen + GONE * member.leastTimeout, now + heartbeatMs);
  }

  /** Where a peer is in a list by peer id, or would be. */
  function place(list: readonly Member[], peer: string): number {
    let [low, high] = [0, list.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (list[middle]!.peer < peer) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Puts a member into the list of the living, or takes it out; always another list, since it or its role changed. */
  function enlist(member: Member, isLive: boolean): void {
    if (live === undefined) return;
    const at = place(live.members, member.peer);
    const isListed = live.members[at] === member;
    if (isLive || isListed)
      live.members = live.members.toSpliced(at, isListed ? 1 : 0, ...(isLive ? [member] : []));
  }

  function forget(peer: string): void {
    const member = members.get(peer);
    if (member === undefined) return;
    members.delete(peer);
    sorted.splice(place(sorted, peer), 1);
    enlist(member, false);
  }

  return {
    heard(peer, heartbeat, now, period = heartbeatMs) {
      const known = members.get(peer);
      if (known === undefined) {
        const member = new Member(peer, heartbeat, now, period);
        members.set(peer, member);
        sorted.splice(place(sorted, peer), 0, member);
        if (!heartbeat.leaving) enlist(member, true);
        if (live !== undefined) live.until = Math.min(live.until, now + member.leastTimeout);
        prunable = Math.min(prunable, prunableFrom(member, now));
        return true;
      }
      if (heartbeat.sequence <= known.heartbeat.sequence) return false;
      const stays = known.isLive(now) && !heartbeat.leaving && known.heartbeat.role === heartbeat.role;
      known.heard(heartbeat, now, period);
      if (!stays) enlist(known, !heartbeat.leaving);
      if (live !== undefined) live.until = Math.min(live.until, now + known.leastTimeout);
      prunable = Math.min(prunable, prunableFrom(known, now));
      return true;
    },
    member: (peer) => members.get(peer),
    live(now) {
      if (live !== undefined && now >= live.from && now <= live.until) return live.members;
      let until = Number.POSITIVE_INFINITY;
      const current = sorted.filter((member) => {
        if (!member.isLive(now)) return false;
        until = Math.min(until, member.deadline(now));
        return true;
      });
      const same = current.length === live?.members.length && current.every((m, i) => m === live!.members[i]);
      live = { members: same ? live!.members : current, from: now, until };
      return live.members;
    },
    timeout: (peer) => members.get(peer)?.timeout ?? 4 * heartbeatMs,
    forget,
    prune(now) {
      if (now < prunable) return;
      prunable = Number.POSITIVE_INFINITY;
      for (const member of members.values())
        if (
          now - member.lastSeen > GONE * member.leastTimeout &&
          now - member.lastSeen > GONE * member.timeout
        )
          forget(member.peer);
        else prunable = Math.min(prunable, prunableFrom(member, now));
    },
  };
}
