/** Which of the contributions that a version's ancestry has not folded the next version may fold, and why not the others. Pure. */
import { compareContributions } from "./order.ts";
import { authorship } from "./rules.ts";
import type { KnownContribution, Rejection } from "./types.ts";

const ALREADY_CONTRIBUTED = "its peer already contributed this round";

export interface Judgement {
  /** What the next version should fold, in fold order. */
  pending: readonly KnownContribution[];
  /** What could stand for one of `pending` of the same peer and round, should that one be refused. */
  spare: readonly KnownContribution[];
  rejected: Rejection[];
  /** Of `pending`. */
  authors: Set<string>;
}

/** What is known of a contribution at the version that is to be followed. */
export interface Grounds {
  maxStaleness: number;
  /** Why it can never be used, if it cannot. */
  refusal(contribution: KnownContribution): string | undefined;
  /** Generations between its base and the version. */
  staleness(contribution: KnownContribution): number;
  /** Whether the version's ancestry folded what its peer contributed to its round. */
  alreadyFolded(contribution: KnownContribution): boolean;
}

/** Judges all contributions that are open. */
export function judge(open: Iterable<KnownContribution>, grounds: Grounds): Judgement {
  const pending: KnownContribution[] = [];
  const spare: KnownContribution[] = [];
  const rejected: Rejection[] = [];
  const authors = new Set<string>();
  // In fold order, so of several by one peer to one round the lowest CID is taken.
  for (const contribution of [...open].toSorted(compareContributions)) {
    const reason = objection(contribution, grounds, authors);
    if (reason === undefined) pending.push(contribution);
    else rejected.push({ cid: contribution.cid, reason });
    if (reason === ALREADY_CONTRIBUTED) spare.push(contribution);
  }
  return { pending, spare, rejected, authors };
}

/** The judgement with a contribution that has just come; undefined when all must be judged again. */
export function judgeOneMore(
  judgement: Judgement,
  contribution: KnownContribution,
  grounds: Grounds,
): Judgement | undefined {
  const { pending, authors } = judgement;
  // Also adds its author, which matters only when nothing speaks against it.
  if (objection(contribution, grounds, authors) !== undefined) return undefined;
  const at = pending.findLastIndex((other) => compareContributions(other, contribution) < 0) + 1;
  return { ...judgement, pending: pending.toSpliced(at, 0, contribution) };
}

/** Why a contribution may not be folded beside those of `authors`; adds its author to them when it may. */
function objection(
  contribution: KnownContribution,
  grounds: Grounds,
  authors: Set<string>,
): string | undefined {
  const refusal = grounds.refusal(contribution);
  if (refusal !== undefined) return refusal;
  const { maxStaleness } = grounds;
  if (grounds.staleness(contribution) > maxStaleness)
    return `it was computed from a version over ${maxStaleness} generations older than the head`;
  const author = authorship(contribution);
  if (authors.has(author) || grounds.alreadyFolded(contribution)) return ALREADY_CONTRIBUTED;
  authors.add(author);
  return undefined;
}
