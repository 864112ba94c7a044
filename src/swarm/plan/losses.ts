/** What the lineages refer to and nobody may bring any more: work of peers that are gone, and objects that never came. */
import type { Lineage } from "../../outer/lineage.ts";
import type { KnownContribution } from "../../outer/types.ts";
import { isSame } from "../members/difference.ts";
import type { Membership } from "../members/membership.ts";
import { ROUNDING_MS } from "./offers.ts";
import type { Discount } from "./open-slots.ts";

/** A contribution to fold whose signer is gone. */
interface Orphan {
  contribution: KnownContribution;
  /** When its signer was first found to be gone. */
  since: number;
}

export class Losses {
  readonly #lineages: readonly Lineage[];
  readonly #membership: Membership;
  readonly #heartbeatMs: number;
  /** By CID. */
  #orphans = new Map<string, Orphan>();
  #orphansAt = Number.NEGATIVE_INFINITY;
  /** What the orphans follow from. */
  #orphansOf: readonly (readonly unknown[])[] = [];
  #orphaned:
    | { of: ReadonlyMap<string, Orphan>; from: number; until: number; contributions: Discount }
    | undefined;
  /** Since when something that others refer to is missing, by CID. */
  #missing = new Map<string, number>();

  constructor(lineages: Iterable<Lineage>, membership: Membership, heartbeatMs: number) {
    this.#lineages = [...lineages];
    this.#membership = membership;
    this.#heartbeatMs = heartbeatMs;
  }

  /** Contributions to fold whose signers have been gone for `patience` ms; the same map until that changes. */
  orphaned(patience: number, now: number): Discount {
    const orphans = this.#findOrphans(now);
    const known = this.#orphaned;
    if (known?.of === orphans && now >= known.from && now < known.until) return known.contributions;
    const contributions = new Map<string, KnownContribution>();
    let until = Number.POSITIVE_INFINITY;
    for (const [cid, { contribution, since }] of orphans)
      if (now - since >= patience) contributions.set(cid, contribution);
      else until = Math.min(until, since + patience - ROUNDING_MS);
    const same =
      known?.contributions.size === contributions.size &&
      [...contributions.keys()].every((cid) => known.contributions.has(cid));
    this.#orphaned = {
      of: orphans,
      from: now,
      until,
      contributions: same ? known.contributions : contributions,
    };
    return this.#orphaned.contributions;
  }

  #findOrphans(now: number): ReadonlyMap<string, Orphan> {
    if (now - this.#orphansAt < this.#heartbeatMs && now >= this.#orphansAt) return this.#orphans;
    this.#orphansAt = now;
    const usable = this.#lineages.map((lineage) => lineage.usable());
    const of = [this.#membership.live(now), ...usable];
    if (isSame(of, this.#orphansOf)) return this.#orphans;
    this.#orphansOf = of;
    const orphans = new Map<string, Orphan>();
    for (const contributions of usable)
      for (const contribution of contributions) {
        if (this.#membership.member(contribution.signer)?.isLive(now) === true) continue;
        const cid = contribution.cid.toString();
        orphans.set(cid, { contribution, since: this.#orphans.get(cid)?.since ?? now });
      }
    this.#orphans = orphans;
    return orphans;
  }

  /**
   * Whether something that a record refers to is missing, for less than `patience` ms so far: a reference to something
   * that does not exist holds nobody up for longer.
   */
  awaits(patience: number, now: number): boolean {
    const missing = this.#lineages.flatMap((lineage) => lineage.missing().map(String));
    this.#missing = new Map(missing.map((cid) => [cid, this.#missing.get(cid) ?? now]));
    return [...this.#missing.values()].some((since) => now - since < patience);
  }
}
