/** What the search needs to know of a peer's rules, and the production rules as such. */
import type { CID } from "multiformats/cid";
import { createFold } from "../../src/outer/fold.ts";
import { Lineage } from "../../src/outer/lineage.ts";
import type { Have, KnownContribution, KnownVersion, LineageInit, Rejection } from "../../src/outer/types.ts";
import { cidOf, createConfig, fold } from "../unit/outer/history.ts";

/** What peers send each other about a module. */
export type Item = KnownContribution | KnownVersion;

export function isVersion(item: Item): item is KnownVersion {
  return "generation" in item;
}

export function isContribution(item: Item): item is KnownContribution {
  return !isVersion(item);
}

/** What one peer knows of one module. */
export interface Replica {
  /** Takes in what arrived; throws InvalidObjectError when the rules refuse it. */
  add(item: Item): void;
  head(): KnownVersion;
  /** The head and its ancestors, newest first. */
  ancestry(): KnownVersion[];
  /** Contributions whose base is known. */
  contributions(): KnownContribution[];
  pending(): readonly KnownContribution[];
  rejected(): Rejection[];
  have(): Have;
  /** What somebody who has this lacks, in the order in which to add it. */
  since(have: Have): CID[];
}

export interface Rules {
  create(init: LineageInit): Replica;
  /** What an owner publishes on its head. */
  publish(replica: Replica): KnownVersion;
}

const OUTER = createConfig().outer;

export const PRODUCTION: Rules = {
  create(init) {
    const lineage = new Lineage(init);
    return {
      add: (item) => (isVersion(item) ? lineage.addVersion(item) : lineage.addContribution(item)),
      head: () => lineage.head(),
      ancestry: () => lineage.ancestry(),
      contributions: () => lineage.contributions(),
      pending: () => lineage.pending(),
      rejected: () => lineage.rejected(),
      have: () => lineage.have(),
      since: (have) => lineage.since(have).order,
    };
  },
  publish(replica) {
    // A fold takes contributions in any order.
    const { order, parameters } = average(replica.head(), replica.pending().toReversed());
    return fold(replica.head(), [...order], { contributions: order.map(({ cid }) => cid), parameters });
  },
};

/** The production fold, of numbers that stand for the parent's weights and for outer gradients. */
function average(
  parent: KnownVersion,
  contributions: readonly KnownContribution[],
): { order: readonly KnownContribution[]; parameters: CID } {
  const state = { parameters: numbers(parent.cid), momentum: numbers(parent.state["parameters"]!) };
  const outer = createFold({ parent: state, contributions, weightOf: () => 1, outer: OUTER });
  for (const { cid } of outer.order) outer.add(numbers(cid));
  const next = Object.values(outer.finish()).flatMap((values) => [...values]);
  return { order: outer.order, parameters: cidOf(next.join()) };
}

/** Eight numbers that a CID determines. */
function numbers(cid: CID): Float32Array {
  return Float32Array.from({ length: 8 }, (_, index) => (cid.multihash.digest[index]! - 128) / 3);
}
