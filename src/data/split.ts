/** Which documents are held out of training. */
import { hash64 } from "../random.ts";
import type { Split } from "./types.ts";

/** What the split looks at: neither names nor the order of files. */
export interface SplitDocuments {
  /** Characters or tokens of each document, (N). */
  readonly sizes: Uint32Array;
  /** Number of the text that each document was cut from, (N). */
  readonly origins: Uint32Array;
  /** The same number for documents that are near-equal, (N). */
  readonly clusters: Uint32Array;
  /** By origin: the same number for origins that are near-equal. */
  readonly groups: Uint32Array;
  /** A whole number below 2^53 that depends on the content of an origin alone. */
  key(origin: number): number;
}

export interface DocumentSplit {
  /** Of each document: 0 for the rest, i for the i-th share, (N). */
  sides: Uint8Array;
  /** Texts with a held-out stretch at their end, since they are too long to hold out whole. */
  cut: number;
  /** Documents that are held out though they are near-equal to one on another side, since the corpus has no others. */
  apart: number;
}

/** Shares of the corpus that are not trained on; the rest is. Keys as in the run's `data` section. */
export interface SplitFractions {
  validationFraction: number;
  routerFraction: number;
}

const SIDES: readonly Split[] = ["train", "validation", "router"];

/** The split of a corpus into training, validation and router documents; `splitOf(index)` says where one goes. */
export function splitCorpus(
  documents: SplitDocuments,
  seed: number,
  fractions: SplitFractions,
): { splitOf(index: number): Split; cut: number; apart: number } {
  const shares = [fractions.validationFraction, fractions.routerFraction];
  const { sides, cut, apart } = splitDocuments(documents, shares, `split/${seed}`);
  return { splitOf: (index) => SIDES[sides[index]!]!, cut, apart };
}

/** By document the first one of its cluster. */
export function firstOfClusters(clusters: Uint32Array): (index: number) => number {
  const first = new Uint32Array(clusters.reduce((most, cluster) => Math.max(most, cluster), 0) + 1);
  for (let index = clusters.length - 1; index >= 0; index--) first[clusters[index]!] = index;
  return (index) => first[clusters[index]!]!;
}

/**
 * Gives each share its part of the text, by size. Near-equal origins make up a group, and a group stays together: the
 * groups are passed through in the order of a hash of their texts, and each is taken that fits. Where this fills less
 * than half of a share, as in a corpus of few texts, the texts that are too long to be held out whole give their last
 * stretch. Then documents that are near-equal to one of the rest, which is trained on, go to the rest, too.
 *
 * Deterministic; what files are called and in which order they come makes no difference.
 */
export function splitDocuments(documents: SplitDocuments, shares: number[], label: string): DocumentSplit {
  const { sizes, origins, groups } = documents;
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const ranked = rankGroups(documents, label);
  const sideOfGroup = new Uint8Array(groups.length);
  const missing = shares.map((share, at) => {
    const target = share * total;
    let filled = 0;
    for (const group of ranked.order) {
      const size = ranked.sizes[group]!;
      if (sideOfGroup[group] !== 0 || size > target || filled + size / 2 > target) continue;
      sideOfGroup[group] = at + 1;
      filled += size;
    }
    return filled < target / 2 ? target - filled : 0;
  });
  const sides = Uint8Array.from(origins, (origin) => sideOfGroup[groups[origin]!]!);

  let cut = 0;
  for (const [at, size] of missing.entries())
    if (size > 0) cut = Math.max(cut, cutEnds(documents, sides, at + 1, size));
  const joined = joinClusters(documents.clusters, sides);
  for (const at of shares.keys()) rescue(documents, ranked, total, at + 1, sides, joined);
  return { sides: joined, cut, apart: countApart(documents.clusters, joined) };
}

/** Documents that are held out while one that is near-equal is on another side. */
function countApart(clusters: Uint32Array, sides: Uint8Array): number {
  const firstOf = firstOfClusters(clusters);
  const mixed = new Set(clusters.filter((_, index) => sides[index] !== sides[firstOf(index)]));
  return clusters.filter((cluster, index) => sides[index] !== 0 && mixed.has(cluster)).length;
}

interface RankedGroups {
  /** By group. */
  sizes: Float64Array;
  /** Groups that have documents, by rank. */
  order: Uint32Array;
}

/** Ranks groups by the lowest hash of their origins. */
function rankGroups({ sizes, origins, groups, key }: SplitDocuments, label: string): RankedGroups {
  const sizeOf = new Float64Array(groups.length);
  const rankOf = new Float64Array(groups.length).fill(Infinity);
  for (const [index, origin] of origins.entries()) {
    const group = groups[origin]!;
    sizeOf[group]! += sizes[index]!;
    if (origin !== origins[index - 1])
      rankOf[group] = Math.min(rankOf[group]!, Number(hash64(label, key(origin)) >> 11n));
  }
  const order = Uint32Array.from(groups.keys()).filter((group) => sizeOf[group]! > 0);
  return { sizes: sizeOf, order: order.toSorted((a, b) => rankOf[a]! - rankOf[b]! || a - b) };
}

/**
 * Holds out about `size` of the rest: the end of each origin, in proportion. All of these origins are too large for the
 * share. Returns the number of origins.
 */
function cutEnds(documents: SplitDocuments, sides: Uint8Array, side: number, size: number): number {
  const { sizes, origins, key } = documents;
  const left: { start: number; end: number; size: number }[] = [];
  let total = 0;
  for (let start = 0, end = 0; start < sizes.length; start = end) {
    let own = 0;
    for (end = start; end < sizes.length && origins[end] === origins[start]; end++)
      if (sides[end] === 0) own += sizes[end]!;
    if (own > 0) left.push({ start, end, size: own });
    total += own;
  }
  left.sort((a, b) => key(origins[a.start]!) - key(origins[b.start]!) || a.start - b.start);
  let due = 0;
  let held = 0;
  let cut = 0;
  for (const { start, end, size: own } of left) {
    due += (size * own) / total;
    const before = held;
    for (let index = end - 1; index >= start; index--) {
      if (sides[index] !== 0) continue;
      if (held + sizes[index]! / 2 > due) break;
      sides[index] = side;
      held += sizes[index]!;
    }
    if (held > before && sides.subarray(start, end).includes(0)) cut++;
  }
  if (held > 0) return cut;
  // Half a document would do. One is held out all the same where another one of its text is left.
  const longest = left.reduce((a, b) => (b.end - b.start > a.end - a.start ? b : a));
  const last = sides.lastIndexOf(0, longest.end - 1);
  if (last <= longest.start) return 0;
  sides[last] = side;
  return 1;
}

/** Moves near-equal documents to one side, the lowest of theirs. */
function joinClusters(clusters: Uint32Array, sides: Uint8Array): Uint8Array {
  const lowest = new Uint8Array(clusters.reduce((most, cluster) => Math.max(most, cluster), 0) + 1).fill(255);
  for (const [index, side] of sides.entries())
    if (side < lowest[clusters[index]!]!) lowest[clusters[index]!] = side;
  return sides.map((_, index) => lowest[clusters[index]!]!);
}

/**
 * Gives a side that lost all its documents to near-equal ones the smallest group instead that has no near-equal document
 * in another one, if that is at most a quarter of everything; in a corpus where nearly all is near-equal, the side gets back what it had.
 */
function rescue(
  { origins, groups, clusters }: SplitDocuments,
  ranked: RankedGroups,
  total: number,
  side: number,
  before: Uint8Array,
  joined: Uint8Array,
): void {
  if (!before.includes(side) || joined.includes(side)) return;
  const held = new Set(origins.filter((_, index) => joined[index] !== 0).map((origin) => groups[origin]!));
  // A group with a document that is near-equal to another one's would only lose it again.
  const firstOf = firstOfClusters(clusters);
  const shared = new Set<number>();
  for (const [index, origin] of origins.entries()) {
    const [own, other] = [groups[origin]!, groups[origins[firstOf(index)]!]!];
    if (own !== other) shared.add(own).add(other);
  }
  const whole = ranked.order.filter(
    (group) => ranked.sizes[group]! <= total / 4 && !held.has(group) && !shared.has(group),
  );
  if (whole.length === 0) {
    for (const [index, own] of before.entries()) if (own === side) joined[index] = side;
    return;
  }
  const smallest = whole.reduce((a, b) => (ranked.sizes[b]! < ranked.sizes[a]! ? b : a));
  for (const [index, origin] of origins.entries()) if (groups[origin] === smallest) joined[index] = side;
}
