/**
 * The history of one module and what of it counts: the head of a tree of versions that grows from genesis, the
 * contributions still to fold, and what waits for the unknown. Everything that is asked of it depends only on the set of
 * what was added, never on the order of arrival, so all peers that know the same objects agree without voting (DESIGN
 * section 4).
 */
import type { CID } from "multiformats/cid";
import { InvalidObjectError, messageOf } from "../errors.ts";
import type { Branch } from "./branch.ts";
import { describeHave, findLack } from "./exchange.ts";
import { ForkChoice } from "./fork-choice.ts";
import { History } from "./history.ts";
import { type Grounds, judge, type Judgement, judgeOneMore } from "./judgement.ts";
import { OrphanPool } from "./orphan-pool.ts";
import { checkContribution } from "./rules.ts";
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

export class Lineage extends History {
  /** The contributions that no version in the head's ancestry lists. */
  readonly #open = new Map<string, KnownContribution>();
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
    super(init);
    this.#forkChoice = new ForkChoice(this.genesis);
    this.#head = this.genesis;
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
      checkContribution(contribution, this.init);
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
    return this.contribution(cid) !== undefined && !this.#open.has(cid.toString());
  }

  /** The head, or `from`, and its ancestors, newest first; at most `limit`. */
  ancestry(from?: CID, limit = Number.POSITIVE_INFINITY): KnownVersion[] {
    const versions: KnownVersion[] = [];
    for (let at: Branch | undefined = this.#at(from); at && versions.length < limit; at = at.parent)
      versions.push(at.version);
    return versions;
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
    const branch = this.branches.get(cid.toString());
    if (branch === this.genesis)
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
    const branch = this.branches.get(cid.toString());
    if (branch === undefined) return;
    this.#forkChoice.confirm(branch);
    this.#followHead();
  }

  /**
   * Leaves a version and all that builds on it out of the fork choice, because its tensors cannot be had for now:
   * who published it may be gone, or withhold them. What only these folded is pending again. `reconsider` of any of
   * these takes it back.
   * The genesis stays.
   */
  passOver(cid: CID): void {
    const branch = this.branches.get(cid.toString());
    if (branch === undefined || branch === this.genesis) return;
    this.#forkChoice.passOver(branch);
    this.#followHead();
  }

  /** The tensors of a version are here, or not needed: what it is or descends from is not passed over any more. */
  reconsider(cid: CID): void {
    const branch = this.branches.get(cid.toString());
    if (branch === undefined) return;
    this.#forkChoice.reconsider(branch);
    this.#followHead();
  }

  /** Versions that are passed over, and the best of those that build on each: any of them would do. */
  passedOver(): KnownVersion[] {
    return this.#forkChoice.passedOver().map(({ version }) => version);
  }

  /** Whether the version is genesis or was confirmed. */
  confirmed(cid: CID): boolean {
    const branch = this.branches.get(cid.toString());
    return branch !== undefined && this.#forkChoice.isConfirmed(branch);
  }

  /** What to tell another peer so that it can answer with `since`. */
  have(): Have {
    return describeHave(this.#head, this.branches.values(), this.#open.values());
  }

  /** What a peer that sent `have` lacks of this head's history and pending work; about `limit` CIDs. */
  since(have: Have, limit = 4096): Lack {
    return findLack(
      {
        head: this.#head,
        pending: this.#judge().pending,
        branch: (cid) => this.branches.get(cid.toString()),
        contribution: (cid) => this.contribution(cid),
        folders: (contribution) => this.foldersOf(contribution),
      },
      have,
      limit,
    );
  }

  #at(version: CID | undefined): Branch {
    return version === undefined ? this.#head : this.branch(version);
  }

  /** Adds a version, or returns what it misses. */
  #insertVersion(version: KnownVersion): CID | undefined {
    if (this.version(version.cid) !== undefined) return undefined;
    const appended = this.append(version);
    if (appended.missing !== undefined) return appended.missing;
    this.#forkChoice.add(appended.branch, this.#refused.has(version.cid.toString()));
    this.#followHead();
    return undefined;
  }

  /** Adds a contribution; false when its base is unknown. */
  #insertContribution(contribution: KnownContribution): boolean {
    if (this.contribution(contribution.cid) !== undefined) return true;
    if (this.version(contribution.base) === undefined) return false;
    this.note(contribution);
    this.#open.set(contribution.cid.toString(), contribution);
    if (this.#judgement !== undefined)
      this.#judgement = judgeOneMore(this.#judgement, contribution, this.#grounds(this.#head));
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

  #followHead(): void {
    const { head } = this.#forkChoice;
    if (head === this.#head) return;
    this.shift(this.#open, this.#head, head);
    this.#head = head;
    this.#revision++;
    this.#judgement = undefined;
  }

  #judge(from?: CID): Judgement {
    const at = this.#at(from);
    if (at === this.#head && this.#judgement !== undefined) return this.#judgement;
    const open = new Map(this.#open);
    this.shift(open, this.#head, at);
    const judgement = judge(open.values(), this.#grounds(at));
    if (at === this.#head) this.#judgement = judgement;
    return judgement;
  }

  #grounds(at: Branch): Grounds {
    return {
      maxStaleness: this.init.config.outer.maxStaleness,
      refusal: ({ cid }) => this.#refused.get(cid.toString()),
      staleness: (contribution) => this.staleness(contribution, at),
      alreadyFolded: (contribution) => this.alreadyFolded(contribution, at),
    };
  }
}
