/** What became of each contribution to a module: nothing may be dropped in silence (docs/design.md, principle 5). */
import { InvalidObjectError, messageOf } from "../errors.ts";
import type { RunConfig } from "../objects/config.ts";
import type { TensorDescription } from "../objects/tensor-pack.ts";
import { ancestry, type Node } from "./history.ts";
import { readGradient } from "./refold.ts";
import { inFoldOrder, workOf } from "./rules.ts";
import type { Blocks, RecordedContribution, RecordedVersion } from "./types.ts";

export type Outcome =
  | { fate: "folded" | "diedWithDisk" | "waiting" }
  | { fate: "rejected" | "lost"; reason: string };

export interface FatesInit {
  head: Node;
  /** All versions of the module, on whatever branch, by CID. */
  versions: ReadonlyMap<string, RecordedVersion>;
  blocks: Blocks;
  config: RunConfig;
  /** Absent when no tensors of the module are on any disk. */
  tensors: readonly TensorDescription[] | undefined;
  refusals: ReadonlyMap<string, string>;
  /** Peer ids whose disks were lost. */
  wiped: ReadonlySet<string>;
  /** Whether the run is over, so that nothing waits to be folded any more. */
  over: boolean;
}

/** Decides the fate of every contribution to a module that meets the rules, by CID. */
export async function fates(
  contributions: Iterable<RecordedContribution>,
  init: FatesInit,
): Promise<Map<string, Outcome>> {
  const lineage = ancestry(init.head).flatMap((node) => node.contributions);
  const folded = new Set(lineage.map(({ cid }) => cid.toString()));
  const works = new Set(lineage.map(workOf));
  const outcomes = new Map<string, Outcome>();
  for (const contribution of [...contributions].toSorted(inFoldOrder)) {
    const key = contribution.cid.toString();
    if (folded.has(key)) {
      outcomes.set(key, { fate: "folded" });
      continue;
    }
    const outcome = await unfolded(contribution, works, init);
    outcomes.set(key, outcome);
    // Of several by one peer to one round, the first in fold order counts.
    if (outcome.fate !== "rejected") works.add(workOf(contribution));
  }
  return outcomes;
}

async function unfolded(
  contribution: RecordedContribution,
  works: ReadonlySet<string>,
  init: FatesInit,
): Promise<Outcome> {
  const { maxStaleness } = init.config.outer;
  const rejected = (reason: string): Outcome => ({ fate: "rejected", reason });
  const refusal = init.refusals.get(contribution.cid.toString());
  if (refusal !== undefined) return rejected(refusal);
  const isOrphan = init.wiped.has(contribution.signer);
  const gone = (what: string): Outcome =>
    isOrphan ? { fate: "diedWithDisk" } : { fate: "lost", reason: `its ${what} on no disk` };
  const base = init.versions.get(contribution.base.toString());
  if (base === undefined) return gone("base is");
  if (init.head.version.generation - base.generation > maxStaleness)
    return rejected(`over ${maxStaleness} generations old`);
  if (works.has(workOf(contribution))) return rejected("its peer already contributed this round");
  try {
    if (init.tensors !== undefined) {
      const values = await readGradient(init.blocks, contribution, init.tensors, init.config);
      if (values === undefined) return gone("tensors are");
    }
  } catch (error) {
    if (!(error instanceof InvalidObjectError)) throw error;
    return rejected(messageOf(error));
  }
  return init.over ? { fate: "lost", reason: "nobody folded it" } : { fate: "waiting" };
}

/** Whether a lineage folded every round of every replica of every path of its module. */
export function isOver(head: Node, config: RunConfig, paths: readonly number[]): boolean {
  const slots = ancestry(head)
    .flatMap((node) => node.contributions)
    .map(({ round, path, replica }) => [round, path, replica].join("/"));
  return new Set(slots).size === config.training.rounds * config.replicas * paths.length;
}
