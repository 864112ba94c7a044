/**
 * The history of one module: a tree of versions that grows from genesis, the contributions they folded,
 * and those still to fold. Everything that is asked of it depends only on the set of what was added, never
 * on the order of arrival, so all peers that know the same objects agree without voting (DESIGN section 4).
 */
import type { CID } from "multiformats/cid";
import { InvalidObjectError, messageOf } from "../errors.ts";
import { slotKey } from "../plan/slots.ts";
import type { Slot } from "../plan/types.ts";
import { type Branch, descends, grow } from "./branch.ts";
import { describeHave, findLack } from "./exchange.ts";
import { ForkChoice } from "./fork-choice.ts";
import { compareCids, compareContributions } from "./order.ts";
import { OrphanPool } from "./orphan-pool.ts";
import { authorship, checkContribution, checkFold, checkUpdate } from "./rules.ts";
import type {
  Addition,
  Have,
  KnownContribution,
  KnownVersion,
  Lack,
  LineageInit,
  LineageSummary,
  Rejection,
} from "./types.ts";

/** CIDs that orphaned versions and contributions may hold in memory, for each of the two. */
const ORPHAN_CAPACITY = 65_536;
const ALREADY_CONTRIBUTED = "its peer already contributed this round";
const NONE: readonly KnownContribution[] = [];

interface Judgement {
  pending: readonly KnownContribution[];
  /** What could stand for one of `pending` of the same peer and round, should that one be refused. */
  spare: readonly KnownContribution[];
  rejected: Rejection[];
  /** Of `pending`. */
  authors: Set<string>;
}

export class Lineage {
  readonly #init: LineageInit;
  readonly #genesis: Branch;
  /** Complete versions: all ancestors and contributions are known. */
  readonly #branches = new Map<string, Branch>();
  /** Contributions whose base is known. */
  readonly #contributions = new Map<string, KnownContribution>();
  /** The contributions that no version in the head's ancestry lists. */
  readonly #open = new Map<string, KnownContribution>();
  /** Which versions folded which contribution of a peer to a round, by `authorship`. */
  readonly #folders = new Map<string, { folder: Branch; cid: CID }[]>();
  /** By slot. */
  readonly #bySlot = new Map<string, readonly KnownContribution[]>();
  /** Reasons of `refuse`, of versions and of contributions. */
  readonly #refused = new Map<string, string>();
  readonly #forkChoice: ForkChoice;
  readonly #orphanVersions = new OrphanPool<KnownVersion>(ORPHAN_CAPACITY);
  readonly #orphanContributions = new OrphanPool<KnownContribution>(ORPHAN_CAPACITY);
  /** What `#open` refers to; follows the fork choice. */
  #head: Branch;
  /** Of the head; undefined after a change. */
  #judgement: Judgement | undefined;
  #revision = 0;

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
    this.#init = init;
    this.#genesis = grow(genesis);
    this.#branches.set(genesis.cid.toString(), this.#genesis);
    this.#forkChoice = new ForkChoice(this.#genesis);
    this.#head = this.#genesis;
  }

  get module(): string {
    return this.#init.module;
  }

  /**
   * Grows with every change of the head and everything that is refused or no longer an orphan; what one contribution
   * changes by itself, those who add it know.
   */
  get revision(): number {
    return this.#revision;
  }

  /**
   * Adds a version whose block was decoded from a peer or disk, or keeps it as an orphan until its parent and
   * contributions are here. Its tensors are not checked: fold again, then `confirm` or `refuse`.
   * Throws InvalidObjectError with the reason when it does not follow.
   */
  addVersion(version: KnownVersion): Addition {
    const missing = this.#insertVersion(version);
    if (missing === undefined) return { added: true, refused: this.#release(version.cid) };
    this.#orphanVersions.add(version, 1 + version.contributions.length, missing);
    return { added: false, missing, refused: [] };
  }

  /**
   * Adds a contribution whose envelope was verified, or keeps it as an orphan until its base is here. Throws
   * InvalidObjectError with the reason when it is not one of this module's; versions that wait for it are dropped.
   */
  addContribution(contribution: KnownContribution): Addition {
    try {
      checkContribution(contribution, this.#init);
    } catch (error) {
      this.#orphanVersions.take(contribution.cid);
      throw error;
    }
    if (this.#insertContribution(contribution))
      return { added: true, refused: this.#release(contribution.cid) };
    this.#orphanContributions.add(contribution, 1, contribution.base);
    return { added: false, missing: contribution.base, refused: [] };
  }

  /** Fork choice: the version with most folded tokens, then the lower CID, of all that are not refused. */
  head(): KnownVersion {
    return this.#head.version;
  }

  summary(): LineageSummary {
    const { cid, generation, tokens } = this.#head.version;
    return { head: cid, generation, tokens };
  }

  /**
   * What the next version of `from` (default: the head) should fold, in fold order: neither folded by its
   * ancestry, nor over maxStaleness generations old, nor refused. Late work of losing branches is among it.
   */
  pending(from?: CID): readonly KnownContribution[] {
    return this.#judge(from).pending;
  }

  /** What is pending, and what would be if its peer had not contributed the same round twice. */
  usable(): readonly KnownContribution[] {
    const { pending, spare } = this.#judge();
    return spare.length === 0 ? pending : [...pending, ...spare];
  }

  /** Contributions that the head neither folded nor may fold, and why. */
  rejected(): Rejection[] {
    return [...this.#judge().rejected];
  }

  /** Whether a version in the head's ancestry folded the contribution. */
  folded(cid: CID): boolean {
    return this.#contributions.has(cid.toString()) && !this.#open.has(cid.toString());
  }

  /** The head, or `from`, and its ancestors, newest first; at most `limit`. */
  ancestry(from?: CID, limit = Number.POSITIVE_INFINITY): KnownVersion[] {
    const versions: KnownVersion[] = [];
    for (let at: Branch | undefined = this.#branch(from); at && versions.length < limit; at = at.parent)
      versions.push(at.version);
    return versions;
  }

  /** Whether `ancestor` is `version` or an ancestor of it; false when either is unknown. */
  descends(version: CID, ancestor: CID): boolean {
    const [below, above] = [this.#branches.get(version.toString()), this.#branches.get(ancestor.toString())];
    return below !== undefined && above !== undefined && descends(below, above);
  }

  version(cid: CID): KnownVersion | undefined {
    return this.#branches.get(cid.toString())?.version;
  }

  contribution(cid: CID): KnownContribution | undefined {
    return this.#contributions.get(cid.toString());
  }

  /** All complete versions, by generation and CID. */
  versions(): KnownVersion[] {
    const versions = [...this.#branches.values()].map((branch) => branch.version);
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

  /** Versions and contributions that wait for others; the oldest of very many are forgotten. */
  orphans(): CID[] {
    return [...this.#orphanVersions.cids(), ...this.#orphanContributions.cids()];
  }

  /** What orphaned versions and contributions wait for. */
  missing(): CID[] {
    return [...this.#orphanVersions.missing(), ...this.#orphanContributions.missing()];
  }

  /**
   * Records that a version or contribution cannot be used, for a reason found in its tensors. A refused
   * version and its descendants never are head; what was computed from them stays late work. A refused
   * contribution is no longer pending. Throws InvalidObjectError for the genesis.
   */
  refuse(cid: CID, reason: string): void {
    const branch = this.#branches.get(cid.toString());
    if (branch === this.#genesis)
      throw new InvalidObjectError(`The genesis of ${this.module} is unusable: ${reason}.`);
    if (this.#refused.has(cid.toString())) return;
    this.#refused.set(cid.toString(), reason);
    this.#revision++;
    if (branch !== undefined) this.#forkChoice.bar(branch);
    this.#followHead();
    this.#judgement = undefined;
  }

  /** Why `refuse` was called for a version or contribution, if it was. */
  refusal(cid: CID): string | undefined {
    return this.#refused.get(cid.toString());
  }

  /**
   * Records that folding again gave exactly this version. A fold is a pure function, so other versions of
   * the same parent and contributions are false and barred from being head, now and when they arrive.
   */
  confirm(cid: CID): void {
    const branch = this.#branches.get(cid.toString());
    if (branch === undefined) return;
    this.#forkChoice.confirm(branch);
    this.#followHead();
  }

  /**
   * Leaves a version and all that builds on it out of the fork choice, because its tensors cannot be had for now:
   * who published it may be gone, or withhold them. What only these folded is pending again. `reconsider` takes it back.
   * The genesis stays.
   */
  passOver(cid: CID): void {
    const branch = this.#branches.get(cid.toString());
    if (branch === undefined || branch === this.#genesis) return;
    this.#forkChoice.passOver(branch);
    this.#followHead();
  }

  /** The tensors of a version are here: neither it nor what it descends from is passed over any more. */
  reconsider(cid: CID): void {
    const branch = this.#branches.get(cid.toString());
    if (branch === undefined) return;
    this.#forkChoice.reconsider(branch);
    this.#followHead();
  }

  /**
   * Versions that are passed over, and the best that builds on each. Whoever built on one had it, and others may have
   * released it since; the later one can still be had.
   */
  passedOver(): KnownVersion[] {
    return this.#forkChoice.passedOver().map(({ version }) => version);
  }

  /** Whether the version is genesis or was confirmed. */
  confirmed(cid: CID): boolean {
    const branch = this.#branches.get(cid.toString());
    return branch !== undefined && this.#forkChoice.isConfirmed(branch);
  }

  /** What to tell another peer so that it can answer with `since`. */
  have(): Have {
    return describeHave(this.#head, this.#branches.values(), this.#open.values());
  }

  /** What a peer that sent `have` lacks of this head's history and pending work; about `limit` CIDs. */
  since(have: Have, limit = 4096): Lack {
    return findLack(
      {
        head: this.#head,
        pending: this.#judge().pending,
        branch: (cid) => this.#branches.get(cid.toString()),
        contribution: (cid) => this.#contributions.get(cid.toString()),
        folders: (contribution) =>
          this.#foldersOf(contribution)
            .filter(({ cid }) => cid.equals(contribution.cid))
            .map(({ folder }) => folder),
      },
      have,
      limit,
    );
  }

  #branch(cid: CID | undefined): Branch {
    const branch = cid === undefined ? this.#head : this.#branches.get(cid.toString());
    if (branch === undefined)
      throw new InvalidObjectError(`Version ${String(cid)} of ${this.module} is not known.`);
    return branch;
  }

  /** Adds a version, or returns what it misses. */
  #insertVersion(version: KnownVersion): CID | undefined {
    if (this.#branches.has(version.cid.toString())) return undefined;
    checkUpdate(version, this.#init);
    const parent = this.#branches.get(version.parent.toString());
    if (parent === undefined) return version.parent;
    const contributions: KnownContribution[] = [];
    for (const cid of version.contributions) {
      const contribution = this.#contributions.get(cid.toString());
      if (contribution === undefined) return cid;
      contributions.push(contribution);
    }
    checkFold(
      version,
      parent.version,
      contributions,
      this.#init.config.outer.maxStaleness,
      (contribution) => this.#staleness(contribution, parent),
      (contribution) => this.#alreadyFolded(contribution, parent),
    );
    const branch = grow(version, parent);
    this.#branches.set(version.cid.toString(), branch);
    for (const contribution of contributions) {
      const entry = { folder: branch, cid: contribution.cid };
      this.#folders.set(authorship(contribution), [...this.#foldersOf(contribution), entry]);
    }
    this.#forkChoice.add(branch, this.#refused.has(version.cid.toString()));
    this.#followHead();
    return undefined;
  }

  /** Adds a contribution; false when its base is unknown. */
  #insertContribution(contribution: KnownContribution): boolean {
    const key = contribution.cid.toString();
    if (this.#contributions.has(key)) return true;
    if (!this.#branches.has(contribution.base.toString())) return false;
    this.#contributions.set(key, contribution);
    this.#open.set(key, contribution);
    this.#bySlot.set(slotKey(contribution), [...this.contributionsTo(contribution), contribution]);
    if (this.#judgement !== undefined) this.#judgement = this.#judgeOneMore(this.#judgement, contribution);
    return true;
  }

  /** Adds everything that waited for an arrival, and what waited for that; returns what proved wrong. */
  #release(arrived: CID): Rejection[] {
    const refused: Rejection[] = [];
    const arrivals = [arrived];
    for (let next = arrivals.pop(); next !== undefined; next = arrivals.pop()) {
      this.#revision += next === arrived ? 0 : 1;
      for (const contribution of this.#orphanContributions.take(next))
        if (this.#insertContribution(contribution)) arrivals.push(contribution.cid);
      for (const version of this.#orphanVersions.take(next)) {
        try {
          const missing = this.#insertVersion(version);
          if (missing === undefined) arrivals.push(version.cid);
          else this.#orphanVersions.add(version, 1 + version.contributions.length, missing);
        } catch (error) {
          if (!(error instanceof InvalidObjectError)) throw error;
          refused.push({ cid: version.cid, reason: messageOf(error) });
        }
      }
    }
    return refused;
  }

  /** Generations between a contribution's base, on whatever branch, and `at`; negative when the base is newer. */
  #staleness(contribution: KnownContribution, at: Branch): number {
    return at.version.generation - this.#branch(contribution.base).version.generation;
  }

  #foldersOf(contribution: KnownContribution): { folder: Branch; cid: CID }[] {
    return this.#folders.get(authorship(contribution)) ?? [];
  }

  #alreadyFolded(contribution: KnownContribution, at: Branch): boolean {
    return this.#foldersOf(contribution).some(({ folder }) => descends(at, folder));
  }

  #followHead(): void {
    const { head } = this.#forkChoice;
    if (head === this.#head) return;
    this.#shift(this.#open, this.#head, head);
    this.#head = head;
    this.#revision++;
    this.#judgement = undefined;
  }

  /** Turns the contributions that `from` has not folded into those that `to` has not. */
  #shift(open: Map<string, KnownContribution>, from: Branch, to: Branch): void {
    let common: Branch | undefined = from;
    for (; common !== undefined && !descends(to, common); common = common.parent)
      for (const cid of common.version.contributions)
        open.set(cid.toString(), this.#contributions.get(cid.toString())!);
    for (let at: Branch | undefined = to; at !== undefined && at !== common; at = at.parent)
      for (const cid of at.version.contributions) open.delete(cid.toString());
  }

  #judge(from?: CID): Judgement {
    const at = this.#branch(from);
    if (at === this.#head && this.#judgement !== undefined) return this.#judgement;
    const open = new Map(this.#open);
    this.#shift(open, this.#head, at);
    const pending: KnownContribution[] = [];
    const spare: KnownContribution[] = [];
    const rejected: Rejection[] = [];
    const authors = new Set<string>();
    // In fold order, so of several by one peer to one round the lowest CID is taken.
    for (const contribution of [...open.values()].toSorted(compareContributions)) {
      const reason = this.#objection(contribution, at, authors);
      if (reason === undefined) pending.push(contribution);
      else rejected.push({ cid: contribution.cid, reason });
      if (reason === ALREADY_CONTRIBUTED) spare.push(contribution);
    }
    const judgement: Judgement = { pending, spare, rejected, authors };
    if (at === this.#head) this.#judgement = judgement;
    return judgement;
  }

  /** The judgement with a contribution that has just come; undefined when all must be judged again. */
  #judgeOneMore(judgement: Judgement, contribution: KnownContribution): Judgement | undefined {
    const { pending, authors } = judgement;
    // Also adds its author, which matters only when nothing speaks against it.
    if (this.#objection(contribution, this.#head, authors) !== undefined) return undefined;
    const at = pending.findLastIndex((other) => compareContributions(other, contribution) < 0) + 1;
    return { ...judgement, pending: pending.toSpliced(at, 0, contribution) };
  }

  #objection(contribution: KnownContribution, at: Branch, authors: Set<string>): string | undefined {
    const { maxStaleness } = this.#init.config.outer;
    const refusal = this.#refused.get(contribution.cid.toString());
    if (refusal !== undefined) return refusal;
    if (this.#staleness(contribution, at) > maxStaleness)
      return `it was computed from a version over ${maxStaleness} generations older than the head`;
    const author = authorship(contribution);
    if (authors.has(author) || this.#alreadyFolded(contribution, at)) return ALREADY_CONTRIBUTED;
    authors.add(author);
    return undefined;
  }
}
