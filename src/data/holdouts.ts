/** Which training documents are held out of the shards of paths. */
import { firstOfClusters, type SplitDocuments, splitDocuments } from "./split.ts";

/**
 * Decides which documents the shards of paths hold out, for `outer.holdout` and early stopping. It splits the documents
 * of all paths together, so that no path trains on what another one holds out. A path that this leaves without a
 * holdout, or without most of its text, holds out some of its own documents by the same rule: where it has such, those
 * that share no text with documents of other paths and are near-equal to none of them.
 * @param paths the documents of each path, ascending
 */
export function splitHoldouts(
  documents: SplitDocuments,
  paths: readonly (readonly number[])[],
  seed: number,
  holdoutFraction: number,
): Set<number> {
  const split = (own: ArrayLike<number>): number[] => {
    const { sides } = splitDocuments(pick(documents, own), [holdoutFraction], `holdout/${seed}`);
    return Array.from(own).filter((_, position) => sides[position] === 1);
  };
  const held = new Set(split(Uint32Array.from(paths.flat()).toSorted()));
  const sizeOf = (own: readonly number[]): number =>
    own.reduce((sum, index) => sum + documents.sizes[index]!, 0);
  const related = relatedDocuments(documents);
  for (const own of paths) {
    const out = own.filter((index) => held.has(index));
    if (sizeOf(out) <= sizeOf(own) / 2) continue;
    // All that goes with them is trained on, too.
    const back = new Set(out.map((index) => related(index)));
    for (const index of held) if (back.has(related(index))) held.delete(index);
  }
  const pathOf = new Int32Array(documents.groups.length).fill(-1);
  for (const [path, own] of paths.entries())
    for (const index of own)
      pathOf[related(index)] = [-1, path].includes(pathOf[related(index)]!) ? path : paths.length;
  for (const [path, own] of paths.entries()) {
    if (own.some((index) => held.has(index))) continue;
    const alone = split(own.filter((index) => pathOf[related(index)] === path));
    for (const index of alone.length > 0 ? alone : split(own)) held.add(index);
  }
  return held;
}

/** By document a number that those share which belong to one group or are near-equal, or are so through others. */
function relatedDocuments({ origins, groups, clusters }: SplitDocuments): (index: number) => number {
  const first = Uint32Array.from(groups, (_, group) => group);
  const rootOf = (group: number): number => {
    while (first[group] !== group) group = first[group] = first[first[group]!]!;
    return group;
  };
  const firstOf = firstOfClusters(clusters);
  for (const [index, origin] of origins.entries()) {
    const group = rootOf(groups[origin]!);
    const other = rootOf(groups[origins[firstOf(index)]!]!);
    first[Math.max(group, other)] = Math.min(group, other);
  }
  return (index) => rootOf(groups[origins[index]!]!);
}

/** Some of the documents by themselves, with their origins numbered anew. */
function pick(documents: SplitDocuments, own: ArrayLike<number>): SplitDocuments {
  const originals: number[] = [];
  const groups: number[] = [];
  const numberOf = new Map<number, number>();
  const number = (group: number): number => {
    const known = numberOf.get(group) ?? numberOf.size;
    numberOf.set(group, known);
    return known;
  };
  const origins = Uint32Array.from(own, (index) => {
    const origin = documents.origins[index]!;
    if (originals.at(-1) !== origin) {
      originals.push(origin);
      groups.push(number(documents.groups[origin]!));
    }
    return originals.length - 1;
  });
  return {
    sizes: Uint32Array.from(own, (index) => documents.sizes[index]!),
    origins,
    clusters: Uint32Array.from(own, (index) => documents.clusters[index]!),
    groups: Uint32Array.from(groups),
    key: (origin) => documents.key(originals[origin]!),
  };
}
