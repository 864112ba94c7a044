/**
 * Which contributions this peer cannot have: a peer may die after it announced one and before anybody fetched its
 * tensors. Then its slot is like one whose lease expired, and open again a lease time after the signer was found gone.
 * Should it come back, its work is late like any other. A live signer is waited for longer, and only owners, who have
 * tried, can tell that it does not deliver.
 */
import type { CID } from "multiformats/cid";
import type { Lineage } from "../../outer/lineage.ts";
import type { KnownContribution } from "../../outer/types.ts";
import type { Discount } from "./open-slots.ts";
import type { Stock } from "./stock.ts";
import type { Surroundings } from "./types.ts";

/**
 * Grace times after which an outer gradient that is not here is given up although its signer still talks: it may have a
 * slow link, or withhold it so that nobody trains the slot.
 */
const WITHHELD_GRACES = 5;
const NOTHING: ReadonlyMap<string, never> = new Map<string, never>();

export class Shortfall {
  readonly #init: Pick<Surroundings, "config" | "view">;
  readonly #stock: Stock;
  /** Those whose signer has been gone for so long that nobody is expected to bring them. */
  #orphaned: ReadonlyMap<string, KnownContribution> = NOTHING;
  /** Those that this peer has tried to get in vain. */
  #missed: ReadonlyMap<string, KnownContribution> = NOTHING;
  /** Since when an outer gradient that this peer should fold is not here. */
  #absent: ReadonlyMap<string, number> = NOTHING;
  /** Since when contributions, by CID, are not folded although no slot is open any more (ms). */
  #left: ReadonlyMap<string, number> = NOTHING;
  #discount: Discount | undefined;

  constructor(init: Pick<Surroundings, "config" | "view">, stock: Stock) {
    this.#init = init;
    this.#stock = stock;
  }

  /** What does not count for this peer although it is known; the same map until that changes. */
  get discount(): Discount | undefined {
    return this.#discount;
  }

  /** The two maps that `isLost` follows from; the same ones until that changes. */
  get causes(): readonly unknown[] {
    return [this.#orphaned, this.#missed];
  }

  /** Whether nobody is expected to bring its outer gradient any more. */
  isLost(contribution: CID): boolean {
    const key = contribution.toString();
    return this.#missed.has(key) || (this.#orphaned.has(key) && !this.#stock.has(contribution));
  }

  /**
   * Notes what stays unfolded although nothing is left to do. Of modules that it does not own a peer learns only so that
   * an outer gradient is lost whose signer is live: who owns them folds what can be had.
   */
  noteLeft(nothingToDo: boolean, lineages: Iterable<Lineage>, now: number): void {
    if (!nothingToDo) {
      this.#left = NOTHING;
      return;
    }
    const left = new Map<string, number>();
    for (const lineage of lineages)
      for (const { cid } of lineage.pending())
        if (!this.isLost(cid)) left.set(cid.toString(), this.#left.get(cid.toString()) ?? now);
    this.#left = left;
  }

  /** Whether its owners have had the time to find out that it does not come, and for the fold that would follow. */
  isLeft(contribution: CID, now: number): boolean {
    const patience = 1000 * this.#init.config.swarm.graceSeconds * (WITHHELD_GRACES + 1);
    return now - (this.#left.get(contribution.toString()) ?? now) >= patience;
  }

  /** Looks again, of the modules that this peer owns. */
  note(owned: readonly string[], now: number): void {
    const { config, view } = this.#init;
    const { graceSeconds, leaseSeconds } = config.swarm;
    const [goneMs, withheldMs] = [1000 * leaseSeconds, WITHHELD_GRACES * 1000 * graceSeconds];
    // Not only of others: what this peer made is here, and what its disk lost nobody brings.
    this.#orphaned = view.orphaned(goneMs, now);
    if (owned.length === 0) {
      // Most peers own nothing.
      this.#absent = this.#missed = NOTHING;
      this.#discount = undefined;
      return;
    }
    const absent = new Map<string, number>();
    const missed = new Map<string, KnownContribution>();
    for (const module of owned)
      for (const contribution of view.lineage(module).pending()) {
        const { cid, signer } = contribution;
        if (this.#stock.has(cid)) continue;
        const key = cid.toString();
        const since = this.#absent.get(key) ?? now;
        absent.set(key, since);
        const isLive = view.membership.member(signer)?.isLive(now) === true;
        if (now - since >= (isLive ? withheldMs : goneMs)) missed.set(key, contribution);
      }
    this.#absent = absent;
    this.#missed = unlessSame(missed, this.#missed);
    const discount = new Map(missed);
    for (const [key, contribution] of this.#orphaned)
      if (owned.includes(contribution.module) && !this.#stock.has(contribution.cid))
        discount.set(key, contribution);
    this.#discount = discount.size === 0 ? undefined : unlessSame(discount, this.#discount);
  }
}

/** A map, or the one from before when both have the same keys, so that what was found out with that one holds. */
function unlessSame<T>(
  map: ReadonlyMap<string, T>,
  before: ReadonlyMap<string, T> | undefined,
): ReadonlyMap<string, T> {
  return before?.size === map.size && [...map.keys()].every((key) => before.has(key)) ? before : map;
}
