/** The versions whose tensors this peer holds: it folds, folds again or fetches them, and bars those that do not follow. */
import type { Clock } from "../../clock.ts";
import { InvalidObjectError, messageOf, UnavailableError } from "../../errors.ts";
import type { RunConfig } from "../../objects/config.ts";
import type { Lineage } from "../../outer/lineage.ts";
import type { KnownContribution, KnownVersion } from "../../outer/types.ts";
import { hash64 } from "../../random.ts";
import type { Announcers } from "../conduct/provenance.ts";
import type { Tasks } from "../tasks.ts";
import type { Packs, SwarmEvent } from "../types.ts";
import { type Absences, createAbsences } from "./absences.ts";
import { BACKOFF_MS, FETCH_MS, type Gradients } from "./gradients.ts";
import type { Holders } from "./holders.ts";
import type { FoldedVersion, ModuleStates } from "./module-states.ts";
import type { Retention } from "./retention.ts";

/** With `verify: sample`, a peer folds one in so many versions again. */
const SAMPLE = 4n;

export interface HoldingsInit {
  clock: Clock;
  tasks: Pick<Tasks, "within">;
  self: string;
  config: RunConfig;
  packs: Packs;
  states: ModuleStates;
  gradients: Gradients;
  holders: Holders;
  retention: Retention;
  /** Whether contributions to a module are tried on held-out text. */
  isTried(module: string): boolean;
  announcers: Pick<Announcers, "heard">;
  lineage(module: string): Lineage;
  /** A version was found not to follow from what it folds. */
  refused(version: KnownVersion, reason: string): void;
  emit(event: SwarmEvent): void;
}

export class Holdings {
  readonly #init: HoldingsInit;
  /** Versions whose tensors are on this disk, and work on others that is under way. */
  readonly #versions = new Map<string, Promise<void>>();
  readonly #absences: Absences;
  /** When to try again what failed, by CID. */
  readonly #retry = new Map<string, number>();

  constructor(init: HoldingsInit) {
    this.#init = init;
    this.#absences = createAbsences(init.config.swarm.graceSeconds * 1000);
  }

  /** Whether work on the version has not begun and is not to wait after a failure. */
  wants(version: KnownVersion, now: number): boolean {
    const key = version.cid.toString();
    return !this.#versions.has(key) && (this.#retry.get(key) ?? 0) <= now;
  }

  /** The tensors of a version are not kept any longer. */
  released(cid: string): void {
    this.#versions.delete(cid);
  }

  /** θ of a version, from disk or from its holders. */
  async parameters(version: KnownVersion, signal: AbortSignal): Promise<Float32Array> {
    const either = AbortSignal.any([signal, this.#init.tasks.within(FETCH_MS)]);
    try {
      return await this.#init.states.parameters(version, this.#init.holders.ofVersion(version), either);
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
    await this.#init.retention.retainVersion(folded.version, () => record(folded));
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
    this.#absences.had(cid);
    this.#init.lineage(module).reconsider(cid);
  }

  /**
   * Notes that a version could not be had, and passes over a head that is given up; an older version that nobody keeps any
   * more harms nobody. Returns the milliseconds until the next try.
   */
  #missed({ module, generation, cid }: KnownVersion, error: unknown): number {
    if (!(error instanceof UnavailableError)) return BACKOFF_MS;
    if (!this.#absences.missed(cid, error.missing, this.#init.clock.now())) return BACKOFF_MS;
    const lineage = this.#init.lineage(module);
    if (generation > 0 && lineage.head().cid.equals(cid)) {
      lineage.passOver(cid);
      const reason = messageOf(error);
      this.#init.emit({ type: "passed-over", module, generation, cid: cid.toString(), reason });
    }
    return Math.max(BACKOFF_MS, this.#init.config.swarm.graceSeconds * 1000);
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
    await this.#load(parent);
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
    if (await this.#isKept(version)) return this.#init.retention.retainVersion(version);
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
    await this.#init.retention.retainVersion(version);
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
        if (this.#init.isTried(version.module)) await this.#init.gradients.examine(contribution);
      const { version: folded } = await this.#fold(parent, contributions);
      if (folded.cid.toString() !== version.cid.toString()) reason = `folding it again gives ${folded.cid}`;
    } catch (error) {
      if (!(error instanceof InvalidObjectError)) throw error;
      reason = messageOf(error);
    }
    if (reason !== undefined) this.#refuse(lineage, version, reason);
    lineage.confirm(version.cid);
    for (const contribution of contributions) await this.#init.retention.retainGradient(contribution);
  }

  /** Takes a version's tensors on trust, if they are tensors of the module at all; bars it when they are not. */
  async #fetch(lineage: Lineage, version: KnownVersion): Promise<void> {
    try {
      await this.#load(version);
    } catch (error) {
      if (!(error instanceof InvalidObjectError)) throw error;
      this.#refuse(lineage, version, messageOf(error));
    }
  }

  #load(version: KnownVersion): Promise<unknown> {
    const { states, holders, tasks } = this.#init;
    return states.load(version, holders.ofVersion(version), tasks.within(FETCH_MS));
  }

  #refuse(lineage: Lineage, version: KnownVersion, reason: string): never {
    const { module, cid } = version;
    lineage.refuse(cid, reason);
    this.#init.emit({ type: "rejected", module, cid: cid.toString(), reason });
    this.#init.refused(version, reason);
    throw new InvalidObjectError(`Version ${cid.toString()} of ${module} does not follow: ${reason}.`);
  }

  async #fold(parent: KnownVersion, contributions: readonly KnownContribution[]): Promise<FoldedVersion> {
    const { states, holders, tasks } = this.#init;
    const signal = tasks.within(FETCH_MS);
    try {
      return await states.fold(
        parent,
        holders.ofVersion(parent),
        contributions,
        (contribution) => holders.ofGradient(contribution),
        signal,
      );
    } catch (error) {
      this.#versions.delete(parent.cid.toString());
      throw error;
    }
  }

  /**
   * Whether this peer had the version before. That its tensors are on the disk says nothing: a false version may name
   * those of another. The manifest vouches for the genesis.
   */
  async #isKept(version: KnownVersion): Promise<boolean> {
    if (!(await this.#isOnDisk(version))) return false;
    return version.parent === null || this.#init.retention.keepsVersion(version);
  }

  async #isOnDisk({ state }: KnownVersion): Promise<boolean> {
    for (const pack of Object.values(state)) if (!(await this.#init.packs.complete(pack))) return false;
    return true;
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
