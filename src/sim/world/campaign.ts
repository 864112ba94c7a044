/** Many seeds together. */
import { UsageError } from "../../errors.ts";
import { MARKS } from "./marks.ts";
import type { Outcome } from "./types.ts";

/** What `npm run simulate --json` ends with. */
export interface Sum extends Pick<
  Outcome,
  "attacks" | "contributions" | "folded" | "rejected" | "diedWithDisk" | "lost" | "foldedTwice" | "headsAgree"
> {
  seeds: number;
  faults: number;
  /** What does not hold, with the seed. */
  broken: string[];
  /** Rare branches that no seed reached. */
  unreached: string[];
  /** Simulated hours. */
  hours: number;
}

/** `7` or `1-1000`. Throws UsageError. */
export function parseSeeds(text: string): number[] {
  const [, from, to = from] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  if (from === undefined || Number(to) < Number(from))
    throw new UsageError(`${text} is no range of seeds; write for instance 1-1000.`);
  return Array.from({ length: Number(to) - Number(from) + 1 }, (_, index) => Number(from) + index);
}

export function summarise(outcomes: readonly Outcome[]): Sum {
  const sum = (of: (outcome: Outcome) => number): number =>
    outcomes.reduce((total, outcome) => total + of(outcome), 0);
  const rejected: Record<string, number> = {};
  for (const outcome of outcomes)
    for (const [reason, count] of Object.entries(outcome.rejected))
      rejected[reason] = (rejected[reason] ?? 0) + count;
  const reached = new Set(outcomes.flatMap(({ marks }) => marks));
  return {
    seeds: outcomes.length,
    faults: sum(({ faults }) => Object.values(faults).reduce((total, count) => total + count, 0)),
    attacks: sum(({ attacks }) => attacks),
    contributions: sum(({ contributions }) => contributions),
    folded: sum(({ folded }) => folded),
    rejected,
    diedWithDisk: sum(({ diedWithDisk }) => diedWithDisk),
    lost: sum(({ lost }) => lost),
    foldedTwice: sum(({ foldedTwice }) => foldedTwice),
    headsAgree: outcomes.every(({ headsAgree }) => headsAgree),
    broken: outcomes
      .toSorted((a, b) => a.seed - b.seed)
      .flatMap(({ seed, broken }) => broken.map((problem) => `seed ${seed}: ${problem}`)),
    unreached: MARKS.filter((mark) => !reached.has(mark)),
    hours: Math.round(sum(({ milliseconds }) => milliseconds) / 360_000) / 10,
  };
}
