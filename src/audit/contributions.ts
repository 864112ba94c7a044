/** What became of each contribution to a module: nothing may be dropped in silence (docs/design.md, principle 5). */
import type { RunConfig } from "../objects/config.ts";
import type { TensorDescription } from "../objects/tensor-pack.ts";
import { ancestry, type Node } from "./history.ts";
import { readGradient } from "./refold.ts";
import {
  contradiction,
  invalidTensors,
  kindOfWords,
  LOSS,
  type Reason,
  REPEATED,
  stale,
} from "./rejections.ts";
import { inFoldOrder, isTried, workOf } from "./rules.ts";
import type { Blocks, RecordedContribution, RecordedVersion } from "./types.ts";

export type Outcome = (
  | { fate: "folded" | "diedWithDisk" | "waiting" }
  | { fate: "rejected" | "lost"; reason: string }
) & {
  /** What is wrong with what a peer said against it. */
  contradicted?: string;
};

export interface FatesInit {
  head: Node;
  /** All versions of the module, on whatever branch, by CID. */
  versions: ReadonlyMap<string, RecordedVersion>;
  blocks: Blocks;
  config: RunConfig;
  /** Absent when no tensors of the module are on any disk. */
  tensors: readonly TensorDescription[] | undefined;
  /** What peers said against versions and contributions, by CID. */
  refusals: ReadonlyMap<string, readonly string[]>;
  /** Peer ids whose disks were lost. */
  wiped: ReadonlySet<string>;
  /** Whether the run is over, so that no contribution waits for a fold any more. */
  over: boolean;
}

/**
 * Decides the fate of every contribution to a module that meets the rules, by CID. Why one is rejected follows from the
 * objects; what peers said against it must be the same.
 */
export async function fates(
  contributions: Iterable<RecordedContribution>,
  init: FatesInit,
): Promise<Map<string, Outcome>> {
  const lineage = ancestry(init.head).flatMap((node) => node.contributions);
  const folded = new Set(lineage.map(({ cid }) => cid.toString()));
  const works = new Set(lineage.map(workOf));
  const outcomes = new Map<string, Outcome>();
  const all = [...contributions].toSorted(inFoldOrder);
  const copies = Map.groupBy(all, workOf);
  for (const contribution of all) {
    const key = contribution.cid.toString();
    const said = init.refusals.get(key) ?? [];
    const isDoubled = copies.get(workOf(contribution))!.length > 1;
    if (folded.has(key)) {
      // A peer may have lost what others could fold.
      const against = said.find((words) => kindOfWords(words) !== "damaged");
      const contradicted = against === undefined ? undefined : contradiction(against, [], isDoubled);
      outcomes.set(key, { fate: "folded", ...(contradicted === undefined ? {} : { contradicted }) });
      continue;
    }
    const outcome = await unfolded(contribution, { said, works, isDoubled }, init);
    outcomes.set(key, outcome);
    // Of several by one peer to one round, the first in fold order counts.
    if (outcome.fate !== "rejected") works.add(workOf(contribution));
  }
  return outcomes;
}

async function unfolded(
  contribution: RecordedContribution,
  {
    said,
    works,
    isDoubled,
  }: {
    said: readonly string[];
    /** Work that is folded, or counts already. */
    works: ReadonlySet<string>;
    isDoubled: boolean;
  },
  init: FatesInit,
): Promise<Outcome> {
  const { maxStaleness } = init.config.outer;
  const base = init.versions.get(contribution.base.toString());
  const reasons: Reason[] = [];
  if (base !== undefined && init.head.version.generation - base.generation > maxStaleness)
    reasons.push(stale(maxStaleness));
  if (works.has(workOf(contribution))) reasons.push(REPEATED);
  let missing = base === undefined ? "base is" : undefined;
  if (missing === undefined && (reasons.length === 0 || said.length > 0) && init.tensors !== undefined)
    try {
      const values = await readGradient(init.blocks, contribution, init.tensors, init.config);
      if (values === undefined) missing = "tensors are";
    } catch (error) {
      reasons.push(invalidTensors(error));
    }
  if (said.some((words) => kindOfWords(words) === LOSS.kind) && isTried(contribution.module, init.config))
    reasons.push(LOSS);

  const contradicted = said
    .map((words) => contradiction(words, reasons, isDoubled))
    .find((wrong) => wrong !== undefined);
  const notes = contradicted === undefined ? {} : { contradicted };
  const [reason] = reasons;
  if (reason !== undefined) return { fate: "rejected", reason: reason.words, ...notes };
  if (missing !== undefined)
    return init.wiped.has(contribution.signer)
      ? { fate: "diedWithDisk", ...notes }
      : { fate: "lost", reason: `its ${missing} on no disk`, ...notes };
  return init.over ? { fate: "lost", reason: "nobody folded it", ...notes } : { fate: "waiting", ...notes };
}

/** Whether a lineage folded every round of every replica of every path of its module. */
export function isOver(head: Node, config: RunConfig, paths: readonly number[]): boolean {
  const slots = ancestry(head)
    .flatMap((node) => node.contributions)
    .map(({ round, path, replica }) => [round, path, replica].join("/"));
  return new Set(slots).size === config.training.rounds * config.replicas * paths.length;
}
