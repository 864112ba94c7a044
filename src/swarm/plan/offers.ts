/** Which slots an idle peer may claim, and in what order peers are asked. */
import type { RunConfig } from "../../objects/config.ts";
import { isSameSlot } from "../../plan/slots.ts";
import type { Plan, Slot } from "../../plan/types.ts";
import { rendezvous, RendezvousKey } from "../members/rendezvous.ts";
import type { Leases } from "./leases.ts";
import type { Discount, OpenSlots, Track } from "./open-slots.ts";
import type { Workers } from "./workers.ts";

/** A slot that a peer may claim now, and how many are asked before it. */
export interface Offer {
  slot: Slot;
  rank: number;
}

export interface OffersInit {
  /** The run's id. */
  run: string;
  config: RunConfig;
  plan: Plan;
  slots: OpenSlots;
  leases: Leases;
  workers: Workers;
}

/** Since when a slot is known to be next in its lane, and since when it is free to be claimed. */
interface Times {
  waiting: Since | undefined;
  free: Since | undefined;
}

interface Since {
  slot: Slot;
  since: number;
}

/** Offers of idle peers with all that they follow from. */
interface Given {
  open: readonly Slot[];
  /** Undefined when no slot was open for any worker. */
  workers: readonly string[] | undefined;
  leases: number;
  /** While nothing of these changes they hold from the one time until the other. */
  from: number;
  until: number;
  byPeer: ReadonlyMap<string, readonly Offer[]>;
}

/** Sums of times are rounded, so what holds until one is looked at again a little before. */
export const ROUNDING_MS = 1;
const NO_OFFERS: readonly Offer[] = [];

export class Offers {
  readonly #init: OffersInit;
  /** By which peers rank themselves for the slots of a lane; these three by the lane's index. */
  readonly #keys: readonly RendezvousKey[];
  readonly #times: readonly Times[];
  /** The same for peers that discount something and so count another slot as the next. */
  readonly #discountedTimes: readonly Times[];
  #idle: { of: readonly string[]; leases: number; peers: readonly string[] } | undefined;
  #shared: Given | undefined;
  /** Of peers that are not among the live workers or discount something, each for itself alone. */
  readonly #own = new Map<string, Given>();

  constructor(init: OffersInit) {
    this.#init = init;
    const { lanes } = init.plan;
    this.#keys = lanes.map(({ labels }) => new RendezvousKey("slot", init.run, ...labels));
    this.#times = lanes.map(() => ({ waiting: undefined, free: undefined }));
    this.#discountedTimes = lanes.map(() => ({ waiting: undefined, free: undefined }));
  }

  /**
   * What an idle peer may claim now. All idle workers rank themselves alike for each slot: first the worker that
   * trained the path last, since it holds optimizer state and shard, then the others in rendezvous order. The n-th waits
   * n times two settle times for those before it. So most slots get one claim, and others take a slot whose favourite is
   * silent.
   */
  of(self: string, now: number, discount?: Discount): readonly Offer[] {
    this.#init.leases.prune(now);
    const open = this.#init.slots.slots(discount);
    const workers = this.#init.workers.all(now);
    if (discount === undefined && this.#init.workers.has(self, now)) {
      if (!this.#holds(this.#shared, open, workers, now))
        this.#shared = this.#offer(open, workers, undefined, now);
      return this.#shared.byPeer.get(self) ?? NO_OFFERS;
    }
    let own = this.#own.get(self);
    if (!this.#holds(own, open, workers, now)) {
      own = this.#offer(open, workers, self, now);
      this.#own.set(self, own);
    }
    return own.byPeer.get(self) ?? NO_OFFERS;
  }

  #holds(
    offers: Given | undefined,
    open: readonly Slot[],
    workers: readonly string[],
    now: number,
  ): offers is Given {
    return (
      offers !== undefined &&
      offers.open === open &&
      (offers.workers === undefined || offers.workers === workers) &&
      offers.leases === this.#init.leases.revision &&
      now >= offers.from &&
      now < offers.until
    );
  }

  #idlePeers(now: number): readonly string[] {
    const of = this.#init.workers.all(now);
    const leases = this.#init.leases.revision;
    if (this.#idle?.of !== of || this.#idle.leases !== leases) {
      const peers = of.filter((peer) => !this.#init.leases.holds(peer, now));
      this.#idle = { of, leases, peers };
    }
    return this.#idle.peers;
  }

  /**
   * Offers to all idle workers and, whatever was heard of it, the given one. Most slots belong to others, are not
   * ready, or are reserved for the peer that trained the path last, so the list of idle peers is made only when it is
   * needed.
   */
  #offer(open: readonly Slot[], workers: readonly string[], self: string | undefined, now: number): Given {
    const isIdle = (peer: string): boolean =>
      peer === self || (this.#init.workers.has(peer, now) && !this.#init.leases.holds(peer, now));
    let list: readonly string[] | undefined;
    const idle = (): readonly string[] => {
      if (list !== undefined) return list;
      const others = this.#idlePeers(now);
      list = self === undefined ? others : [self, ...others.filter((peer) => peer !== self)];
      return list;
    };
    const byPeer = new Map<string, Offer[]>();
    const offer = (peer: string, slot: Slot, rank: number): void => {
      byPeer.set(peer, [...(byPeer.get(peer) ?? []), { slot, rank }]);
    };
    const patience = 2 * this.#init.config.swarm.settleSeconds * 1000;
    let until = Number.POSITIVE_INFINITY;
    let isAny = false;
    for (const slot of open) {
      const track = this.#init.slots.track(slot);
      const { index } = track.lane;
      const times = (slot === track.open ? this.#times : this.#discountedTimes)[index]!;
      const readyAt = this.#readyAt(track, times, slot, now);
      if (readyAt > now || this.#init.leases.binds(slot, now)) {
        if (readyAt > now) until = Math.min(until, readyAt);
        times.free = undefined;
        continue;
      }
      isAny = true;
      times.free = sinceSlot(times.free, slot, now);
      const { since } = times.free;
      const turns = patience === 0 ? Number.POSITIVE_INFINITY : Math.floor((now - since) / patience);
      const turn = turns === 0 ? 0 : Math.min(turns, idle().length);
      if (turn === turns) until = Math.min(until, since + (turn + 1) * patience);
      const previous = track.last?.signer;
      const preferred = previous !== undefined && isIdle(previous) ? 1 : 0;
      if (preferred === 1) offer(previous!, slot, 0);
      const next = turn + 1 - preferred;
      const order = next === 0 ? [] : rendezvous(this.#keys[index]!, idle(), next);
      for (const [rank, peer] of order.entries()) if (peer !== previous) offer(peer, slot, rank + preferred);
    }
    const given = { open, workers: isAny ? workers : undefined, leases: this.#init.leases.revision };
    return { ...given, from: now, until: until - ROUNDING_MS, byPeer };
  }

  /**
   * A slot may start when all its modules hold what it should start from; after twice the grace time it starts with
   * what there is. (Once the grace time is over a generation closes without the missing, so a slot that waits as long
   * again starts from a current head in all but broken cases.)
   */
  #readyAt({ lineages }: Track, times: Times, slot: Slot, now: number): number {
    const { plan, config } = this.#init;
    times.waiting = sinceSlot(times.waiting, slot, now);
    const { since } = times.waiting;
    const patience = 2 * config.swarm.graceSeconds * 1000;
    if (
      now - since >= patience ||
      lineages.every((lineage) => plan.isReady(slot, lineage.module, lineage.head()))
    )
      return now;
    return Math.max(since + patience, now + ROUNDING_MS);
  }
}

/** When a slot was first noted: as known, or now. */
function sinceSlot(known: Since | undefined, slot: Slot, now: number): Since {
  return known !== undefined && isSameSlot(known.slot, slot) ? known : { slot, since: now };
}
