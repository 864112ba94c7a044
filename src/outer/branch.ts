/**
 * A version in the tree of versions. Besides its parent each node keeps one longer jump, placed as in
 * skew-binary random-access lists (Myers 1983), so any ancestor is found in O(log generation) steps.
 */
import type { KnownVersion } from "./types.ts";

export interface Branch {
  readonly version: KnownVersion;
  readonly parent: Branch | undefined;
  readonly jump: Branch | undefined;
  /** Nodes whose parent is this one. */
  readonly children: Branch[];
}

/** Appends a version to its parent; without one it is a root. */
export function grow(version: KnownVersion, parent?: Branch): Branch {
  const branch: Branch = { version, parent, jump: parent && jumpOf(parent), children: [] };
  parent?.children.push(branch);
  return branch;
}

function jumpOf(parent: Branch): Branch {
  const near = parent.jump ?? parent;
  const far = near.jump ?? near;
  const even =
    parent.version.generation - near.version.generation === near.version.generation - far.version.generation;
  return even ? far : parent;
}

/** The ancestor-or-self of a node at a generation, or undefined above the node. */
export function ancestorAt(branch: Branch, generation: number): Branch | undefined {
  let at: Branch | undefined = branch;
  while (at !== undefined && at.version.generation > generation)
    at = at.jump !== undefined && at.jump.version.generation >= generation ? at.jump : at.parent;
  return at?.version.generation === generation ? at : undefined;
}

/** Whether `ancestor` is `branch` or lies on its way to the root. */
export function descends(branch: Branch, ancestor: Branch): boolean {
  return ancestorAt(branch, ancestor.version.generation) === ancestor;
}
