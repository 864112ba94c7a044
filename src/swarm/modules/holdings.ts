/**
 * The tensors that this peer holds: it folds, verifies or fetches versions, fetches outer gradients, knows who else
 * should have them, and lets go of what is old.
 */
import { CID } from "multiformats/cid";
import type { Clock } from "../../clock.ts";
import { InvalidObjectError, messageOf, UnavailableError } from "../../errors.ts";
import type { RunConfig } from "../../objects/config.ts";
import type { Lineage } from "../../outer/lineage.ts";
import type { KnownContribution, KnownVersion } from "../../outer/types.ts";
import { hash64 } from "../../random.ts";
import type { RetentionChange, Store } from "../../store/types.ts";
import type { Announcers } from "../conduct/provenance.ts";
import type { HoldoutCheck } from "./holdout-check.ts";
import type { FoldedVersion, ModuleStates } from "./module-states.ts";
import { deltaPin } from "../rounds/round.ts";
import type { Packs, SwarmEvent } from "../types.ts";

/** Longest time to get the tensors of one version or contribution. */
const FETCH_MS = 120_000;
/** A sweep looks at every block. */
const SWEEP_PAUSE_MS = 240_000;
/** After a failed try, how long until the next. */
const BACKOFF_MS = 3_000;
/** Grace times without a version's tensors after which this peer builds on another version until they are here. */
const ABSENT_GRACES = 2;
/** With `verify: sample`, a peer folds one in so many versions again. */
const SAMPLE = 4n;

export interface HoldingsInit {
  clock: Clock;
  self: string;
  config: RunConfig;
  store: Store;
  packs: Packs;
  states: ModuleStates;
  /** Whether contributions to a module are tried on held-out text. */
  isTried(module: string): boolean;
  /** Tries one; absent when the run does not. */
  check?: HoldoutCheck;
  /** Peers that announced a version hold its tensors. */
  announcers: Announcers;
  /** Keep all tensors of all generations. */
  archive: boolean;
  lineage(module: string): Lineage;
  owners(module: string): string[];
  /** Peers that are heard now, and peers that are known to have the run. */
  live(): Iterable<string>;
  sources(): string[];
  /** Makes the lineage on disk current, in one write with what `first` resolves to. */
  flush(first?: () => Promise<RetentionChange[]>): Promise<void>;
  /** Aborts after a time, or when the peer stops. */
  signal(milliseconds: number): AbortSignal;
  /** Peers from which nothing is fetched. */
  blocked(peer: string): boolean;
  /** A version was found not to follow from what it folds. */
  refused(version: KnownVersion, reason: string): void;
  emit(event: SwarmEvent): void;
}

export class Holdings {
  readonly #init: HoldingsInit;
  /** Versions whose tensors are on this disk, and work on others that is under way. */
  readonly #versions = new Map<string, Promise<void>>();
  /** Fetches of outer gradients that are under way. */
  readonly #deltas = new Set<string>();
  /** Since when the tensors of versions could not be had, with how many blocks missing, by CID. */
  readonly #absent = new Map<string, { since: number; missing: number | undefined }>();
  #swept = Number.NEGATIVE_INFINITY;
  /** When to try again what failed, by CID. */
  readonly #retry = new Map<string, number>();

  constructor(init: HoldingsInit) {
    this.#init = init;
  }

  /** Whether work on the version has not begun and is not to wait after a failure. */
  wants(version: KnownVersion, now: number): boolean {
    const key = version.cid.toString();
    return !this.#versions.has(key) && (this.#retry.get(key) ?? 0) <= now;
  }

  /** Whether a fetch of the contribution's outer gradient should begin. */
  wantsDelta({ cid }: KnownContribution, now: number): boolean {
    const key = cid.toString();
    return !this.#deltas.has(key) && (this.#retry.get(key) ?? 0) <= now;
  }

  /** Gets and checks an outer gradient. Throws InvalidObjectError when it can never be folded, else UnavailableError. */
  async fetchDelta(contribution: KnownContribution): Promise<void> {
    const key = contribution.cid.toString();
    this.#deltas.add(key);
    try {
      await this.examine(contribution);
      await this.retainDelta(contribution);
    } catch (error) {
      this.#retry.set(key, this.#init.clock.now() + BACKOFF_MS);
      throw error;
    } finally {
      this.#deltas.delete(key);
    }
  }

  /**
   * Gets an outer gradient and looks whether it may be folded. Throws InvalidObjectError when it never may, and
   * UnavailableError when what that takes cannot be had.
   */
  async examine(contribution: KnownContribution): Promise<void> {
    const signal = this.#init.signal(FETCH_MS);
    const delta = await this.#init.states.delta(contribution, this.#deltaHolders(contribution), signal);
    await this.#init.check?.(contribution, delta, signal);
  }

  /** Whether an outer gradient is on this disk. */
  hasDelta({ delta }: KnownContribution): Promise<boolean> {
    return this.#init.packs.complete(delta);
  }

  /** θ of a version, from disk or from its holders. */
  async parameters(version: KnownVersion, signal: AbortSignal): Promise<Float32Array> {
    const either = AbortSignal.any([signal, this.#init.signal(FETCH_MS)]);
    try {
      return await this.#init.states.parameters(version, this.#holders(version), either);
    } catch (error) {
      // A block was damaged and nobody has another; the next try may fold the version again.
      this.#versions.delete(version.cid.toString());
      throw error;
    }
  }

  /**
   * Makes the next version of a module. `record` makes it a part of the lineage; when this resolves, that and its tensors
   * are on this disk, by one write.
   */
  async fold(
    parent: KnownVersion,
    contributions: readonly KnownContribution[],
    record: (folded: FoldedVersion) => Promise<void>,
  ): Promise<FoldedVersion> {
    const began = this.#init.clock.now();
    await this.materialise(parent);
    const folded = await this.#fold(parent, contributions);
    this.#versions.set(folded.version.cid.toString(), Promise.resolve());
    await this.#retainVersion(folded.version, () => record(folded));
    this.#had(folded.version);
    this.#init.announcers.heard(folded.version.cid, this.#init.self, true);
    this.#emitVersion(folded.version, "folded", began);
    return folded;
  }

  /** Has the tensors of a version on this disk: there already, folded again, or fetched. */
  materialise(version: KnownVersion): Promise<void> {
    const key = version.cid.toString();
    const running = this.#versions.get(key);
    if (running !== undefined) return running;
    const task = this.#obtain(version).then(
      () => this.#had(version),
      (error: unknown) => {
        this.#versions.delete(key);
        this.#retry.set(key, this.#init.clock.now() + this.#missed(version, error));
        throw error;
      },
    );
    this.#versions.set(key, task);
    return task;
  }

  #had({ module, cid }: KnownVersion): void {
    this.#absent.delete(cid.toString());
    this.#init.lineage(module).reconsider(cid);
  }

  /**
   * Notes that a version could not be had; after two grace times without any progress a head is passed over. Whoever
   * published it may be gone with the only copy of what it folds, or withhold it. An older version that nobody keeps any
   * more harms nobody. Returns the milliseconds until the next try.
   */
  #missed(version: KnownVersion, error: unknown): number {
    if (!(error instanceof UnavailableError)) return BACKOFF_MS;
    const { module, generation, cid } = version;
    const graceMs = this.#init.config.swarm.graceSeconds * 1000;
    const now = this.#init.clock.now();
    const { missing } = error;
    const before = this.#absent.get(cid.toString());
    // On a slow link the blocks of a large module come in many tries.
    const since = before !== undefined && before.missing === missing ? before.since : now;
    this.#absent.set(cid.toString(), { since, missing });
    if (now - since < ABSENT_GRACES * graceMs) return BACKOFF_MS;
    const lineage = this.#init.lineage(module);
    if (generation > 0 && lineage.head().cid.equals(cid)) {
      lineage.passOver(cid);
      const reason = messageOf(error);
      this.#init.emit({ type: "passed-over", module, generation, cid: cid.toString(), reason });
    }
    return Math.max(BACKOFF_MS, graceMs);
  }

  /**
   * Folds every generation of a module again, from genesis to head, out of blocks from any peer.
   * Resolves to the first version that does not follow, or undefined when the lineage holds.
   */
  async audit(
    lineage: Lineage,
    onVersion: (version: KnownVersion) => void,
  ): Promise<KnownVersion | undefined> {
    const [genesis, ...versions] = lineage.ancestry().toReversed();
    let parent = genesis!;
    await this.#init.states.load(parent, this.#holders(parent), this.#init.signal(FETCH_MS));
    for (const version of versions) {
      const folded = await this.#fold(parent, contributionsOf(lineage, version));
      if (!folded.version.cid.equals(version.cid)) return version;
      onVersion(version);
      parent = version;
    }
    return undefined;
  }

  async #obtain(version: KnownVersion): Promise<void> {
    const began = this.#init.clock.now();
    if (await this.#isOnDisk(version)) return this.#retainVersion(version);
    const lineage = this.#init.lineage(version.module);
    const parent = version.parent === null ? undefined : lineage.version(version.parent);
    const foldable = parent !== undefined && (await this.#isOnDisk(parent));
    let fold = foldable && this.#verifies(version);
    if (!fold)
      try {
        await this.#fetch(lineage, version);
      } catch (error) {
        // Nobody has it: its own blocks may have been damaged on the only disk.
        if (!foldable || !(error instanceof UnavailableError)) throw error;
        fold = true;
      }
    if (fold) await this.#verify(lineage, parent!, version);
    // Its record came over the network; what is said to be here has to survive a crash.
    await this.#retainVersion(version);
    this.#emitVersion(version, fold ? "verified" : "fetched", began);
  }

  /** Whether the run's policy has this peer fold a version again; `sample` is another choice for each peer. */
  #verifies(version: KnownVersion): boolean {
    const { verify } = this.#init.config.swarm;
    if (verify === "sample") return hash64("verify", this.#init.self, version.cid.toString()) % SAMPLE === 0n;
    return verify === "all";
  }

  /** Folds a version again, which yields the very blocks that its owner published; bars it when it does not follow. */
  async #verify(lineage: Lineage, parent: KnownVersion, version: KnownVersion): Promise<void> {
    const contributions = contributionsOf(lineage, version);
    let reason: string | undefined;
    try {
      for (const contribution of contributions)
        if (this.#init.isTried(version.module)) await this.examine(contribution);
      const { version: folded } = await this.#fold(parent, contributions);
      if (folded.cid.toString() !== version.cid.toString()) reason = `folding it again gives ${folded.cid}`;
    } catch (error) {
      if (!(error instanceof InvalidObjectError)) throw error;
      reason = messageOf(error);
    }
    if (reason !== undefined) this.#refuse(lineage, version, reason);
    lineage.confirm(version.cid);
    for (const contribution of contributions) await this.retainDelta(contribution);
  }

  /** Takes a version's tensors on trust, if they are tensors of the module at all; bars it when they are not. */
  async #fetch(lineage: Lineage, version: KnownVersion): Promise<void> {
    try {
      await this.#init.states.load(version, this.#holders(version), this.#init.signal(FETCH_MS));
    } catch (error) {
      if (!(error instanceof InvalidObjectError)) throw error;
      this.#refuse(lineage, version, messageOf(error));
    }
  }

  #refuse(lineage: Lineage, version: KnownVersion, reason: string): never {
    const { module, cid } = version;
    lineage.refuse(cid, reason);
    this.#init.emit({ type: "rejected", module, cid: cid.toString(), reason });
    this.#init.refused(version, reason);
    throw new InvalidObjectError(`Version ${cid.toString()} of ${module} does not follow: ${reason}.`);
  }

  async #fold(parent: KnownVersion, contributions: readonly KnownContribution[]): Promise<FoldedVersion> {
    const holders = (contribution: KnownContribution): string[] => this.#deltaHolders(contribution);
    const signal = this.#init.signal(FETCH_MS);
    try {
      return await this.#init.states.fold(parent, this.#holders(parent), contributions, holders, signal);
    } catch (error) {
      this.#versions.delete(parent.cid.toString());
      throw error;
    }
  }

  async #isOnDisk({ state }: KnownVersion): Promise<boolean> {
    for (const pack of Object.values(state)) if (!(await this.#init.packs.complete(pack))) return false;
    return true;
  }

  // ---------------------------------------------------------------- who holds what

  /** Peers that should have a version's tensors: those that announced it, owners, then anybody of the run. */
  #holders(version: KnownVersion): string[] {
    return this.#others([...this.#init.announcers.of(version.cid).all, ...this.#init.owners(version.module)]);
  }

  #deltaHolders(contribution: KnownContribution): string[] {
    const signer = [...this.#init.live()].filter((peer) => peer === contribution.signer);
    return this.#others([...signer, ...this.#init.owners(contribution.module)]);
  }

  #others(first: string[]): string[] {
    const peers = new Set([...first, ...this.#init.live(), ...this.#init.sources()]);
    peers.delete(this.#init.self);
    return [...peers].filter((peer) => !this.#init.blocked(peer));
  }

  // ---------------------------------------------------------------- retention

  /** Keeps a version that is on this disk until it is old. */
  async #retainVersion(version: KnownVersion, first = async (): Promise<void> => {}): Promise<void> {
    const { archive, packs, flush } = this.#init;
    const { module, generation, cid, state } = version;
    const roots = archive ? [] : Object.values(state);
    const blocks = (await Promise.all(roots.map((root) => packs.blocks(root)))).flat();
    await flush(async () => {
      await first();
      return archive ? [] : [[`version:${module}:${generation}:${cid}`, blocks]];
    });
    if (!archive) await this.#releaseOld(module);
  }

  /** Keeps an outer gradient that is on this disk, together with what says what it is, until it is settled. */
  async retainDelta({ module, round, cid, delta }: KnownContribution): Promise<void> {
    const { packs, flush } = this.#init;
    const blocks = await packs.blocks(delta);
    await flush(async () => [[deltaPin(module, round, cid), blocks]]);
  }

  /**
   * Lets go of versions that are further behind the head than the run retains, and of outer gradients that are settled.
   * Small records stay for ever.
   */
  async #releaseOld(module: string): Promise<void> {
    const { store, config, lineage, flush } = this.#init;
    const oldest = lineage(module).head().generation - config.swarm.retainGenerations;
    if (oldest <= 0) return;
    let released = 0;
    for (const pin of await store.pins()) {
      const [kind, of, number, cid] = pin.split(":");
      if (of !== module || (kind !== "version" && kind !== "delta")) continue;
      if (kind === "version" ? Number(number) >= oldest : !this.#isSettled(module, cid!)) continue;
      await store.release(pin);
      this.#versions.delete(cid!);
      released++;
    }
    if (released === 0) return;
    // Records that gossip brought are kept by the lineage's own retention, which must be up to date first.
    await flush();
    await this.sweep();
  }

  /**
   * Whether no version folds a contribution any more, unless one already has for good. What this peer's head folded is
   * late work as soon as another head wins that folded other work, perhaps in fewer generations. How old its round is
   * says nothing of that.
   */
  #isSettled(module: string, cid: string): boolean {
    const { lineage, config } = this.#init;
    const contribution = lineage(module).contribution(CID.parse(cid));
    const base = contribution && lineage(module).version(contribution.base);
    if (base === undefined) return false;
    const behind = lineage(module).head().generation - base.generation;
    return behind > config.outer.maxStaleness + config.swarm.retainGenerations;
  }

  /** Deletes what nobody needs, if that was not done lately. An archive keeps what it does not retain, too. */
  async sweep(): Promise<void> {
    const now = this.#init.clock.now();
    if (this.#init.archive || now - this.#swept < SWEEP_PAUSE_MS) return;
    this.#swept = now;
    await this.#init.store.sweep();
  }

  #emitVersion(version: KnownVersion, how: "folded" | "verified" | "fetched", began: number): void {
    this.#init.emit({
      type: "version",
      module: version.module,
      generation: version.generation,
      cid: version.cid.toString(),
      contributions: version.contributions.length,
      how,
      milliseconds: Math.round(this.#init.clock.now() - began),
    });
  }
}

function contributionsOf(lineage: Lineage, version: KnownVersion): KnownContribution[] {
  return version.contributions.map((cid) => lineage.contribution(cid)!);
}
