/**
 * Who is alive. Pure: time comes in as `now`, in milliseconds of the local clock; peers' clocks are
 * never compared.
 */
import { place } from "./difference.ts";
import type { Heartbeat } from "../messages.ts";
import { TimeQueue } from "./time-queue.ts";

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
  /** When it is to be looked at next whether it is overdue (ms); infinite when that is not planned. */
  checked = Number.POSITIVE_INFINITY;
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

  /**
   * Until when at least it has not been silent for so many timeouts, while nothing is heard of it (ms); reckons the
   * timeout only once it matters.
   */
  deadline(now: number, timeouts = 1): number {
    const least = this.lastSeen + timeouts * this.leastTimeout;
    return now <= least ? least : this.lastSeen + timeouts * this.timeout;
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
  /** Grows when a member takes another role. */
  readonly roleChanges: number;
  /** Drops a member at once. */
  forget(peer: string): void;
  /** Drops members that have been gone for ten timeouts. */
  prune(now: number): void;
}

export const peerOf = ({ peer }: Member): string => peer;

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
  /** The members that were live at a time; from then on each has its deadline in `overdue`. */
  let live: { members: readonly Member[]; at: number } | undefined;
  /** Whom to look at when. A member that is heard in time is looked at all the same, and then again later. */
  let overdue = new TimeQueue<Member>();
  const gone = new TimeQueue<Member>();
  let roleChanges = 0;

  /** Puts a member into the list of the living, or takes it out; always another list, since it or its role changed. */
  function enlist(member: Member, isLive: boolean): void {
    if (live === undefined) return;
    const at = place(live.members, member.peer, peerOf);
    const isListed = live.members[at] === member;
    if (isLive || isListed)
      live.members = live.members.toSpliced(at, isListed ? 1 : 0, ...(isLive ? [member] : []));
  }

  /** Plans to look at a member when it is overdue. */
  function watch(member: Member, now: number): void {
    member.checked = Math.max(member.deadline(now), now);
    overdue.plan(member.checked, member);
  }

  /** Plans nothing anew while a look at the member is planned that does not come too late. */
  function rewatch(member: Member, now: number): void {
    if (live !== undefined && !(member.checked <= member.deadline(now))) watch(member, now);
  }

  function forget(peer: string): void {
    const member = members.get(peer);
    if (member === undefined) return;
    members.delete(peer);
    sorted.splice(place(sorted, peer, peerOf), 1);
    enlist(member, false);
  }

  return {
    heard(peer, heartbeat, now, period = heartbeatMs) {
      const known = members.get(peer);
      if (known === undefined) {
        const member = new Member(peer, heartbeat, now, period);
        members.set(peer, member);
        sorted.splice(place(sorted, peer, peerOf), 0, member);
        if (!heartbeat.leaving) enlist(member, true);
        rewatch(member, now);
        gone.plan(member.deadline(now, GONE), member);
        return true;
      }
      if (heartbeat.sequence <= known.heartbeat.sequence) return false;
      const stays = known.isLive(now) && !heartbeat.leaving && known.heartbeat.role === heartbeat.role;
      if (known.heartbeat.role !== heartbeat.role) roleChanges++;
      known.heard(heartbeat, now, period);
      if (!stays) enlist(known, !heartbeat.leaving);
      rewatch(known, now);
      return true;
    },
    member: (peer) => members.get(peer),
    live(now) {
      if (live === undefined || now < live.at) {
        // The first time, or the clock went back.
        overdue = new TimeQueue();
        for (const member of sorted) watch(member, now);
        live = { members: sorted.filter((member) => member.isLive(now)), at: now };
      }
      live.at = now;
      while (overdue.next < now) {
        const { at, item } = overdue.take()!;
        if (at !== item.checked) continue;
        item.checked = Number.POSITIVE_INFINITY;
        if (item.isLive(now)) watch(item, now);
        else if (live.members[place(live.members, item.peer, peerOf)] === item) enlist(item, false);
      }
      return live.members;
    },
    get roleChanges() {
      return roleChanges;
    },
    forget,
    prune(now) {
      while (gone.next < now) {
        const { item } = gone.take()!;
        if (members.get(item.peer) !== item) continue;
        const deadline = item.deadline(now, GONE);
        if (deadline < now) forget(item.peer);
        else gone.plan(deadline, item);
      }
    },
  };
}
