/**
 * What is complete of one module: versions whose ancestors and contributions are all known, and contributions whose base
 * is. It says how they relate, and lets in only what follows from what is there; which of it counts, lineage.ts says.
 */
import type { CID } from "multiformats/cid";
import { InvalidObjectError } from "../errors.ts";
import { slotKey } from "../plan/slots.ts";
import type { Slot } from "../plan/types.ts";
import { type Branch, descends, grow } from "./branch.ts";
import { compareCids, compareContributions } from "./order.ts";
import { authorship, checkFold, checkUpdate } from "./rules.ts";
import type { KnownContribution, KnownVersion, LineageInit } from "./types.ts";

const NONE: readonly KnownContribution[] = [];

/** A version in the tree, or what it misses. */
type Appended = { branch: Branch; missing?: never } | { missing: CID };

export class History {
  protected readonly init: LineageInit;
  protected readonly genesis: Branch;
  /** By CID. */
  protected readonly branches = new Map<string, Branch>();
  readonly #contributions = new Map<string, KnownContribution>();
  /** Which versions folded which contribution of a peer to a round, by `authorship`. */
  readonly #folders = new Map<string, { folder: Branch; cid: CID }[]>();
  /** By slot. */
  readonly #bySlot = new Map<string, readonly KnownContribution[]>();

  /** Throws InvalidObjectError when `genesis` is not a genesis version of `module`. */
  constructor(init: LineageInit) {
    const { genesis, module } = init;
    if (
      genesis.module !== module ||
      genesis.generation !== 0 ||
      genesis.parent !== null ||
      genesis.contributions.length > 0
    )
      throw new InvalidObjectError(
        `Version ${genesis.cid.toString()} is not a genesis version of ${module}.`,
      );
    this.init = init;
    this.genesis = grow(genesis);
    this.branches.set(genesis.cid.toString(), this.genesis);
  }

  get module(): string {
    return this.init.module;
  }

  version(cid: CID): KnownVersion | undefined {
    return this.branches.get(cid.toString())?.version;
  }

  contribution(cid: CID): KnownContribution | undefined {
    return this.#contributions.get(cid.toString());
  }

  /** All complete versions, by generation and CID. */
  versions(): KnownVersion[] {
    const versions = [...this.branches.values()].map((branch) => branch.version);
    return versions.toSorted((a, b) => a.generation - b.generation || compareCids(a.cid, b.cid));
  }

  /** All known contributions in fold order. */
  contributions(): KnownContribution[] {
    return [...this.#contributions.values()].toSorted(compareContributions);
  }

  /** Whether any contribution to the slot is known. */
  completed(slot: Slot): boolean {
    return this.contributionsTo(slot).length > 0;
  }

  /** All known contributions to a slot. */
  contributionsTo(slot: Slot): readonly KnownContribution[] {
    return this.#bySlot.get(slotKey(slot)) ?? NONE;
  }

  /** Whether `ancestor` is `version` or an ancestor of it; false when either is unknown. */
  descends(version: CID, ancestor: CID): boolean {
    const [below, above] = [this.branches.get(version.toString()), this.branches.get(ancestor.toString())];
    return below !== undefined && above !== undefined && descends(below, above);
  }

  /** Throws InvalidObjectError when the version is not known. */
  protected branch(cid: CID): Branch {
    const branch = this.branches.get(cid.toString());
    if (branch === undefined)
      throw new InvalidObjectError(`Version ${cid.toString()} of ${this.module} is not known.`);
    return branch;
  }

  /** Adds a version that is not known yet, or returns what it misses. Throws InvalidObjectError when it does not follow. */
  protected append(version: KnownVersion): Appended {
    checkUpdate(version, this.init);
    const parent = this.branches.get(version.parent.toString());
    if (parent === undefined) return { missing: version.parent };
    const contributions: KnownContribution[] = [];
    for (const cid of version.contributions) {
      const contribution = this.#contributions.get(cid.toString());
      if (contribution === undefined) return { missing: cid };
      contributions.push(contribution);
    }
    checkFold(
      version,
      parent.version,
      contributions,
      this.init.config.outer.maxStaleness,
      (contribution) => this.staleness(contribution, parent),
      (contribution) => this.alreadyFolded(contribution, parent),
    );
    const branch = grow(version, parent);
    this.branches.set(version.cid.toString(), branch);
    for (const contribution of contributions) {
      const entry = { folder: branch, cid: contribution.cid };
      this.#folders.set(authorship(contribution), [...this.#foldersOf(contribution), entry]);
    }
    return { branch };
  }

  /** Adds a contribution that is not known yet and whose base is. */
  protected note(contribution: KnownContribution): void {
    this.#contributions.set(contribution.cid.toString(), contribution);
    this.#bySlot.set(slotKey(contribution), [...this.contributionsTo(contribution), contribution]);
  }

  /** Generations between a contribution's base, on whatever branch, and `at`; negative when the base is newer. */
  protected staleness(contribution: KnownContribution, at: Branch): number {
    return at.version.generation - this.branch(contribution.base).version.generation;
  }

  /** Whether `at` or an ancestor folded what the contribution's peer contributed to its round. */
  protected alreadyFolded(contribution: KnownContribution, at: Branch): boolean {
    return this.#foldersOf(contribution).some(({ folder }) => descends(at, folder));
  }

  /** Versions that folded this very contribution. */
  protected foldersOf(contribution: KnownContribution): Branch[] {
    return this.#foldersOf(contribution)
      .filter(({ cid }) => cid.equals(contribution.cid))
      .map(({ folder }) => folder);
  }

  /** Turns the contributions that `from` has not folded into those that `to` has not. */
  protected shift(open: Map<string, KnownContribution>, from: Branch, to: Branch): void {
    let common: Branch | undefined = from;
    for (; common !== undefined && !descends(to, common); common = common.parent)
      for (const cid of common.version.contributions)
        open.set(cid.toString(), this.#contributions.get(cid.toString())!);
    for (let at: Branch | undefined = to; at !== undefined && at !== common; at = at.parent)
      for (const cid of at.version.contributions) open.delete(cid.toString());
  }

  #foldersOf(contribution: KnownContribution): { folder: Branch; cid: CID }[] {
    return this.#folders.get(authorship(contribution)) ?? [];
  }
}
