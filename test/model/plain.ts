/**
 * The protocol's rules as plainly as DESIGN section 4 says them, without anything that is kept for speed. Without a
 * flaw they are what production is compared with; with one they are a planted bug.
 */
import type { CID } from "multiformats/cid";
import { compareContributions, compareHeads } from "../../src/outer/order.ts";
import { authorship } from "../../src/outer/rules.ts";
import type { KnownContribution, KnownVersion, LineageInit } from "../../src/outer/types.ts";
import { cidOf, fold } from "../unit/outer/history.ts";
import { isContribution, isVersion, type Item, PRODUCTION, type Replica, type Rules } from "./rules.ts";

export type Flaw =
  /** Owners fold contributions as they came in. */
  | "a fold in arrival order"
  /** Owners forget what was folded. */
  | "a double fold"
  /** Versions need no known ancestors. */
  | "a head outside the lineage"
  /** Only what was computed from the head itself is folded. */
  | "an ignored late contribution"
  /** The first version of a generation to arrive stays. */
  | "a head by arrival";

export const FLAWS: Flaw[] = [
  "a fold in arrival order",
  "a double fold",
  "a head outside the lineage",
  "an ignored late contribution",
  "a head by arrival",
];

export function plainRules(flaw?: Flaw): Rules {
  return {
    create: (init) => new PlainReplica(init, flaw),
    publish(replica) {
      if (flaw !== "a fold in arrival order") return PRODUCTION.publish(replica);
      const order = replica.pending();
      const contributions = order.map(({ cid }) => cid);
      return fold(replica.head(), order, { contributions, parameters: cidOf(contributions.join()) });
    },
  };
}

class PlainReplica implements Replica {
  readonly #maxStaleness: number;
  readonly #flaw: Flaw | undefined;
  readonly #arrived: Item[] = [];
  /** What arrived and all of whose ancestors did, by CID, in the order in which it became complete. */
  readonly #known = new Map<string, Item>();

  constructor({ genesis, config }: LineageInit, flaw: Flaw | undefined) {
    this.#maxStaleness = config.outer.maxStaleness;
    this.#flaw = flaw;
    this.#known.set(genesis.cid.toString(), genesis);
  }

  add(item: Item): void {
    this.#arrived.push(item);
    for (let size = 0; size < this.#known.size;) {
      size = this.#known.size;
      for (const next of this.#arrived)
        if (this.#isComplete(next) && !this.#known.has(next.cid.toString()))
          this.#known.set(next.cid.toString(), next);
    }
  }

  #isComplete(item: Item): boolean {
    if (!isVersion(item)) return this.#known.has(item.base.toString());
    if (this.#flaw === "a head outside the lineage") return true;
    return [item.parent!, ...item.contributions].every((cid) => this.#known.has(cid.toString()));
  }

  #versions(): KnownVersion[] {
    return [...this.#known.values()].filter(isVersion);
  }

  head(): KnownVersion {
    const versions = this.#versions();
    return this.#flaw === "a head by arrival"
      ? versions.reduce((head, next) => (next.generation > head.generation ? next : head))
      : versions.toSorted(compareHeads)[0]!;
  }

  ancestry(): KnownVersion[] {
    const versions: KnownVersion[] = [];
    for (let at: Item | undefined = this.head(); at !== undefined && isVersion(at);) {
      versions.push(at);
      at = at.parent === null ? undefined : this.#known.get(at.parent.toString());
    }
    return versions;
  }

  contributions(): KnownContribution[] {
    return [...this.#known.values()].filter(isContribution);
  }

  #judge(): { pending: KnownContribution[]; rejected: { cid: CID; reason: string }[] } {
    const head = this.head();
    const ancestry = this.#flaw === "a double fold" ? [] : this.ancestry();
    const folded = ancestry.flatMap(({ contributions }) => contributions.map((cid) => cid.toString()));
    const authors = new Set(
      this.contributions()
        .filter(({ cid }) => folded.includes(cid.toString()))
        .map(authorship),
    );
    const pending: KnownContribution[] = [];
    const rejected: { cid: CID; reason: string }[] = [];
    for (const contribution of this.contributions().toSorted(compareContributions)) {
      const { cid, base } = contribution;
      if (folded.includes(cid.toString())) continue;
      const age = head.generation - (this.#known.get(base.toString()) as KnownVersion).generation;
      if (this.#flaw === "an ignored late contribution" && !base.equals(head.cid)) continue;
      if (age > this.#maxStaleness)
        rejected.push({
          cid,
          reason: `it was computed from a version over ${this.#maxStaleness} generations older than the head`,
        });
      else if (authors.has(authorship(contribution)))
        rejected.push({ cid, reason: "its peer already contributed this round" });
      else {
        authors.add(authorship(contribution));
        pending.push(contribution);
      }
    }
    if (this.#flaw === "a fold in arrival order") {
      const arrived = this.#arrived.map(({ cid }) => cid.toString());
      pending.sort((a, b) => arrived.indexOf(a.cid.toString()) - arrived.indexOf(b.cid.toString()));
    }
    return { pending, rejected };
  }

  pending(): KnownContribution[] {
    return this.#judge().pending;
  }

  rejected(): { cid: CID; reason: string }[] {
    return this.#judge().rejected;
  }

  have(): { versions: CID[]; contributions: CID[] } {
    return {
      versions: this.#versions().map(({ cid }) => cid),
      contributions: this.contributions().map(({ cid }) => cid),
    };
  }

  since(have: { versions: CID[]; contributions: CID[] }): CID[] {
    const had = new Set([...have.versions, ...have.contributions].map(String));
    return [...this.#known.values()].map(({ cid }) => cid).filter((cid) => !had.has(cid.toString()));
  }
}
