/**
 * The versions of one module as the records tell them: which lead back to genesis and keep the rules, and which is
 * the head. The tensors are looked at elsewhere (`refold.ts`).
 */
import { inFoldOrder, workOf } from "./rules.ts";
import type { RecordedContribution, RecordedVersion } from "./types.ts";

export type Fault = "outside genesis" | "folded twice" | "rule" | "fold";

export interface Node {
  readonly version: RecordedVersion;
  readonly parent: Node | undefined;
  readonly contributions: readonly RecordedContribution[];
  readonly children: Node[];
  /** What is wrong with this version itself. */
  fault?: { kind: Fault; reason: string; count: number };
  /** Whether it and all its ancestors are in order, so that it can be head. */
  sound: boolean;
  /** Whether folding it again gave it. */
  follows?: true;
}

export interface HistoryInit {
  module: string;
  genesis: RecordedVersion;
  versions: Iterable<RecordedVersion>;
  /** Contributions of the module that meet the rules by themselves. */
  contributions: ReadonlyMap<string, RecordedContribution>;
  maxStaleness: number;
  /** What the run's outer optimizer keeps. */
  stateNames: readonly string[];
}

export interface History {
  /** Versions that lead back to genesis through versions and contributions that are all there, parents first. */
  readonly nodes: ReadonlyMap<string, Node>;
  /** Versions that lead back to something else. */
  readonly outside: readonly RecordedVersion[];
  /** Versions that some record is missing for. */
  readonly incomplete: readonly RecordedVersion[];
}

export function readHistory(init: HistoryInit): History {
  const nodes = new Map<string, Node>();
  const outside: RecordedVersion[] = [];
  const incomplete: RecordedVersion[] = [];
  const known = new Map([...init.versions].map((version) => [version.cid.toString(), version]));
  known.set(init.genesis.cid.toString(), init.genesis);
  const byParent = new Map<string, RecordedVersion[]>();
  for (const version of known.values()) {
    if (version.parent === null) continue;
    const key = version.parent.toString();
    byParent.set(key, [...(byParent.get(key) ?? []), version]);
  }
  const childrenOf = (version: RecordedVersion): RecordedVersion[] =>
    byParent.get(version.cid.toString()) ?? [];
  const reached = new Set<string>([init.genesis.cid.toString()]);
  const leave = (into: RecordedVersion[], root: RecordedVersion): void => {
    for (const versions = [root]; versions.length > 0;) {
      const version = versions.pop()!;
      if (reached.has(version.cid.toString())) continue;
      reached.add(version.cid.toString());
      into.push(version);
      versions.push(...childrenOf(version));
    }
  };

  const root: Node = {
    version: init.genesis,
    parent: undefined,
    contributions: [],
    children: [],
    sound: true,
  };
  nodes.set(init.genesis.cid.toString(), root);
  const folders = new Map<string, Node[]>();
  for (const node of nodes.values())
    for (const version of childrenOf(node.version)) {
      const contributions = version.contributions.flatMap(
        (cid) => init.contributions.get(cid.toString()) ?? [],
      );
      const isComplete =
        contributions.length === version.contributions.length &&
        contributions.every(({ base }) => known.has(base.toString()));
      if (!isComplete) {
        leave(incomplete, version);
        continue;
      }
      const child: Node = { version, parent: node, contributions, children: [], sound: false };
      const fault = faultOf(child, node, known, folders, init);
      if (fault !== undefined) child.fault = fault;
      child.sound = node.sound && fault === undefined;
      reached.add(version.cid.toString());
      node.children.push(child);
      nodes.set(version.cid.toString(), child);
      for (const contribution of contributions)
        folders.set(workOf(contribution), [...(folders.get(workOf(contribution)) ?? []), child]);
    }
  for (const version of known.values())
    if (version.parent === null) leave(outside, version);
    else if (!known.has(version.parent.toString())) leave(incomplete, version);
  return { nodes, outside, incomplete };
}

function faultOf(
  { version, contributions }: Node,
  parent: Node,
  known: ReadonlyMap<string, RecordedVersion>,
  folders: ReadonlyMap<string, readonly Node[]>,
  { module, maxStaleness, stateNames }: HistoryInit,
): Node["fault"] {
  const broken = (kind: Fault, reason: string, count = 1): Node["fault"] => ({ kind, reason, count });
  if (version.module !== module) return broken("outside genesis", `its parent is of ${module}`);
  if (version.generation !== parent.version.generation + 1)
    return broken("outside genesis", `its parent is of generation ${parent.version.generation}`);
  const works = new Set<string>();
  const twice = contributions.filter((contribution) => {
    const work = workOf(contribution);
    const again = works.has(work) || (folders.get(work) ?? []).some((folder) => isWithin(folder, parent));
    works.add(work);
    return again;
  });
  if (twice.length > 0)
    return broken(
      "folded twice",
      `it folds work that is in its lineage already: ${twice.map(({ cid }) => cid.toString()).join(", ")}`,
      twice.length,
    );
  if (contributions.length === 0) return broken("rule", "it folds nothing");
  if (Object.keys(version.state).toSorted().join() !== stateNames.toSorted().join())
    return broken("rule", `its state is not ${stateNames.join(", ")}`);
  if (contributions.some((each, at) => at > 0 && inFoldOrder(contributions[at - 1]!, each) > 0))
    return broken("rule", "its contributions are not in fold order");
  const stale = contributions.find(
    ({ base }) => parent.version.generation - known.get(base.toString())!.generation > maxStaleness,
  );
  if (stale !== undefined)
    return broken("rule", `contribution ${stale.cid.toString()} is over ${maxStaleness} generations old`);
  const tokens = contributions.reduce((sum, each) => sum + each.tokens, parent.version.tokens);
  if (tokens !== version.tokens)
    return broken("rule", `it claims ${version.tokens} folded tokens where there are ${tokens}`);
  return undefined;
}

/** Whether `ancestor` is `node` or above it. */
function isWithin(ancestor: Node, node: Node): boolean {
  let at: Node | undefined = node;
  while (at !== undefined && at.version.generation > ancestor.version.generation) at = at.parent;
  return at === ancestor;
}

/** Takes a version and all that builds on it out of the choice of heads. */
export function unsettle(node: Node): void {
  for (const nodes = [node]; nodes.length > 0;) {
    const next = nodes.pop()!;
    next.sound = false;
    nodes.push(...next.children);
  }
}

/** Fork choice: of the sound versions, the one with most folded tokens, then the one with the lower CID. */
export function headOf(history: History, has: (node: Node) => boolean = () => true): Node | undefined {
  const there = new Set<Node>();
  let best: Node | undefined;
  // Parents come before their children.
  for (const node of history.nodes.values()) {
    if (!node.sound || !has(node) || (node.parent !== undefined && !there.has(node.parent))) continue;
    there.add(node);
    if (best === undefined || isBefore(node.version, best.version)) best = node;
  }
  return best;
}

function isBefore(a: RecordedVersion, b: RecordedVersion): boolean {
  return a.tokens > b.tokens || (a.tokens === b.tokens && Buffer.compare(a.cid.bytes, b.cid.bytes) < 0);
}

/** A version and its ancestors, newest first. */
export function ancestry(node: Node): Node[] {
  const nodes: Node[] = [];
  for (let at: Node | undefined = node; at !== undefined; at = at.parent) nodes.push(at);
  return nodes;
}
