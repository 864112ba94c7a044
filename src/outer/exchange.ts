/** Anti-entropy: what a peer says it has, and what that shows it to lack. */
import type { CID } from "multiformats/cid";
import { type Branch, ancestorAt, descends } from "./branch.ts";
import { compareContributions, compareHeads } from "./order.ts";
import type { Have, KnownContribution, Lack } from "./types.ts";

const MAX_TIPS = 64;
const MAX_OPEN = 4096;
/** Entries of a `Have` that are looked at; an honest one is smaller. */
const MAX_HAVE = 128;

/** Describes a lineage so that a peer on any branch finds the newest common version within a factor of two. */
export function describeHave(head: Branch, all: Iterable<Branch>, open: Iterable<KnownContribution>): Have {
  const tips = [...all]
    .filter((branch) => branch.children.length === 0 && branch !== head)
    .toSorted((a, b) => compareHeads(a.version, b.version))
    .slice(0, MAX_TIPS);
  const versions = [head, ...tips].map((branch) => branch.version.cid);
  const { generation } = head.version;
  for (let distance = 1; distance < generation; distance *= 2)
    versions.push(ancestorAt(head, generation - distance)!.version.cid);
  if (generation > 0) versions.push(ancestorAt(head, 0)!.version.cid);
  const contributions = [...open].toSorted(compareContributions).slice(-MAX_OPEN);
  return { versions, contributions: contributions.map((contribution) => contribution.cid) };
}

/** The parts of a lineage that an answer is made from. */
export interface LineageView {
  head: Branch;
  pending: readonly KnownContribution[];
  branch(cid: CID): Branch | undefined;
  contribution(cid: CID): KnownContribution | undefined;
  /** Versions on any branch that folded the contribution. */
  folders(contribution: KnownContribution): Branch[];
}

/**
 * What the asker lacks: the head's ancestry above what it has, the contributions folded there, pending
 * ones, and the versions of losing branches that any of these were computed from, with all they need.
 * Everything comes after what it depends on, so a cut answer is usable and the next one goes on from it.
 */
export function findLack(view: LineageView, have: Have, limit: number): Lack {
  const known = have.versions
    .slice(0, MAX_HAVE)
    .map((cid) => view.branch(cid))
    .filter((branch) => branch !== undefined);
  const had = new Set(have.contributions.slice(0, MAX_OPEN).map((cid) => cid.toString()));
  const told = new Set<Branch>();
  const lacked: { kind: "version" | "contribution"; cid: CID }[] = [];

  const settled = (branch: Branch): boolean => told.has(branch) || known.some((tip) => descends(tip, branch));
  const lacking = (contributions: CID[]): KnownContribution[] =>
    contributions
      .filter((cid) => !had.has(cid.toString()))
      .map((cid) => view.contribution(cid)!)
      .filter((contribution) => !view.folders(contribution).some(settled));
  const tell = (contribution: KnownContribution): void => {
    had.add(contribution.cid.toString());
    lacked.push({ kind: "contribution", cid: contribution.cid });
  };
  const need = (branch: Branch): void => {
    const stack = [branch];
    for (let next = stack.at(-1); next !== undefined; next = stack.at(-1)) {
      if (settled(next)) {
        stack.pop();
        continue;
      }
      const contributions = lacking(next.version.contributions);
      const before = [next.parent, ...contributions.map(({ base }) => view.branch(base))]
        .filter((dependency) => dependency !== undefined)
        .filter((dependency) => !settled(dependency));
      stack.push(...before);
      if (before.length > 0) continue;
      for (const contribution of contributions) tell(contribution);
      told.add(next);
      lacked.push({ kind: "version", cid: next.version.cid });
    }
  };

  const chain: Branch[] = [];
  for (let at: Branch | undefined = view.head; at !== undefined && !settled(at); at = at.parent)
    chain.push(at);
  for (const branch of chain.toReversed()) if (lacked.length < limit) need(branch);
  for (const contribution of lacking(view.pending.map(({ cid }) => cid))) {
    if (lacked.length >= limit) break;
    need(view.branch(contribution.base)!);
    // The base's own needs may have brought it already.
    if (!had.has(contribution.cid.toString())) tell(contribution);
  }

  const now = lacked.slice(0, limit);
  const cids = (kind: string): CID[] => now.filter((item) => item.kind === kind).map((item) => item.cid);
  return {
    versions: cids("version"),
    contributions: cids("contribution"),
    order: now.map((item) => item.cid),
    more: lacked.length >= limit,
  };
}
