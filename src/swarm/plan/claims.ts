/** Which slot this peer claims next, when it starts, and whether it keeps its claim. */
import { isSameSlot } from "../../plan/slots.ts";
import type { Slot } from "../../plan/types.ts";
import type { LeaseNotice } from "../messages.ts";
import { type Advance, advance, type Lease, precedence, stallsAt, yields } from "./leases.ts";
import type { Offer } from "./offers.ts";
import type { Discount } from "./open-slots.ts";
import type { Decision, Surroundings } from "./types.ts";

/** Heartbeats that a peer listens to before its first claim. */
const LISTEN_HEARTBEATS = 3;
/** Lease times after which a peer tries again what failed. */
const FAILED_LEASES = 2;

export interface OwnLease {
  slot: Slot;
  claimed: number;
  started: boolean;
  progress: number;
  advance: Advance;
}

type KeptRound = Pick<OwnLease, "slot" | "progress">;

export class Claims {
  readonly #init: Surroundings;
  readonly #run: string;
  #own: OwnLease | undefined;
  /** The round that this peer was training when it ended, and its progress; until it claims anything. */
  #kept: KeptRound | undefined;
  /** Until when this peer leaves the slots of a lane, by its index, to others. */
  readonly #failed = new Map<number, number>();

  constructor(init: Surroundings) {
    this.#init = init;
    this.#run = init.run.toString();
  }

  get own(): Readonly<OwnLease> | undefined {
    return this.#own;
  }

  /** Own lease as heartbeats carry it. */
  notices(): LeaseNotice[] {
    return this.#own === undefined ? [] : [{ ...this.#own.slot, progress: this.#own.progress }];
  }

  /** The own slot is so far done, 0..1. Throws RangeError for any other number. */
  progress(share: number): void {
    if (!(share >= 0 && share <= 1)) throw new RangeError(`${share} is no share of a slot.`);
    if (this.#own !== undefined) this.#own.progress = share;
  }

  kept(slot: Slot, progress: number): void {
    this.#kept = { slot, progress };
  }

  released(): void {
    this.#own = undefined;
  }

  failed(slot: Slot, now: number): void {
    const pause = FAILED_LEASES * this.#init.config.swarm.leaseSeconds * 1000;
    this.#failed.set(this.#init.plan.laneOf(slot).index, now + pause);
  }

  /**
   * From when on this peer has heard the others out: after three heartbeat periods, or one of those who speak least,
   * but never longer than twice the grace time, however many claim to be there.
   */
  listensUntil(now: number): number {
    const { heartbeatSeconds, graceSeconds } = this.#init.config.swarm;
    const slowest = Math.min(this.#init.view.period(false, now), 2 * graceSeconds * 1000);
    return this.#init.now + Math.max(LISTEN_HEARTBEATS * heartbeatSeconds * 1000, slowest);
  }

  /** What `listensUntil` never exceeds. */
  get #listensUntilAtMost(): number {
    const { heartbeatSeconds, graceSeconds } = this.#init.config.swarm;
    return this.#init.now + Math.max(LISTEN_HEARTBEATS * heartbeatSeconds, 2 * graceSeconds) * 1000;
  }

  decide(now: number, discount: Discount | undefined): Decision | undefined {
    const { role, plan, self, view } = this.#init;
    if (role !== "worker") return undefined;
    if (this.#own !== undefined) return this.#keep(this.#own, now, discount);
    // Who has just come hears the others out first; else all who start together claim the same slot.
    if (now < this.#listensUntilAtMost && now < this.listensUntil(now)) return undefined;
    if (this.#kept !== undefined && this.#isFree(this.#kept, now, discount))
      return this.#claim(this.#kept, now);
    const failed = ({ slot }: Offer): boolean =>
      now < (this.#failed.get(plan.laneOf(slot).index) ?? Number.NEGATIVE_INFINITY);
    const offers = view.offers(self, now, discount).filter((offer) => !failed(offer));
    if (offers.length === 0) return undefined;
    // Among equals each peer prefers its own, so that peers that do not know each other yet seldom collide.
    const own = (slot: Slot): bigint => precedence(this.#run, slot, self);
    const [{ slot }] = offers.toSorted(
      (a, b) =>
        a.rank - b.rank || plan.order(a.slot) - plan.order(b.slot) || (own(a.slot) < own(b.slot) ? -1 : 1),
    ) as [Offer];
    return this.#claim({ slot, progress: 0 }, now);
  }

  #claim({ slot, progress }: KeptRound, now: number): Decision {
    this.#own = { slot, claimed: now, started: false, progress, advance: advance(undefined, progress, now) };
    this.#kept = undefined;
    return { type: "claim", slot };
  }

  /** Whether a kept round is still to be done, and whoever holds it by now would yield to this peer. */
  #isFree({ slot, progress }: KeptRound, now: number, discount: Discount | undefined): boolean {
    const { self, view } = this.#init;
    const own = { peer: self, progress };
    return (
      view.openSlots(discount).some((open) => isSameSlot(open, slot)) &&
      view.leases.on(slot, now).every((lease) => yields(this.#run, slot, claimOf(lease), own))
    );
  }

  /** Whether this peer starts what it has claimed, or gives it up. */
  #keep(own: OwnLease, now: number, discount: Discount | undefined): Decision | undefined {
    const { config, self, view } = this.#init;
    const { slot, progress } = own;
    const abandon = (reason: string): Decision => {
      this.#own = undefined;
      return { type: "abandon", slot, reason };
    };
    own.advance = advance(own.advance, progress, now);
    const isHanging = now >= stallsAt(own.advance, 1000 * config.swarm.leaseSeconds);
    // Half a round of work is not thrown away, unless it hangs: both contributions are folded, as those of replicas are.
    if (view.completed(slot, discount) && (progress < 0.5 || isHanging))
      return abandon("another peer completed it");
    const rival = view.leases
      .on(slot, now)
      .find(
        (lease) => lease.holder !== self && yields(this.#run, slot, { peer: self, progress }, claimOf(lease)),
      );
    if (rival !== undefined) return abandon(`peer ${rival.holder} has the earlier claim`);
    if (own.started || now - own.claimed < config.swarm.settleSeconds * 1000) return undefined;
    own.started = true;
    return { type: "start", slot };
  }
}

function claimOf({ holder, progress }: Lease): { peer: string; progress: number } {
  return { peer: holder, progress };
}
