/**
 * What this peer should do next: a pure state machine. Messages and the clock go in (`now` in ms), decisions
 * come out; `src/swarm/swarm.ts` carries them out. The same code runs in the daemon, the tests and the simulator.
 */
import type { CID } from "multiformats/cid";
import type { RunConfig } from "../objects/config.ts";
import type { Lineage } from "../outer/lineage.ts";
import type { KnownContribution, KnownVersion } from "../outer/types.ts";
import type { Topology } from "../run/types.ts";
import type { FetchProgress } from "../store/types.ts";
import { createLeases, type Lease, precedence, type Slot, slotKey, yields } from "./leases.ts";
import { createMembership } from "./membership.ts";
import type { Heartbeat, LeaseNotice } from "./messages.ts";
import { ownersOf, rendezvous } from "./ownership.ts";
import { describeWait, type Expected, type MissingWork, type Wait } from "./waiting.ts";

/** What one version can list; more are folded in the next. */
const MAX_CONTRIBUTIONS = 8192;
/** Heartbeats that a peer listens to before its first claim. */
const LISTEN_HEARTBEATS = 3;
/** Grace times after which an outer gradient that is not here, and whose signer is gone, is given up. */
const LOST_GRACES = 2;
/** The same when its signer still talks: it may have a slow link, or withhold it so that nobody trains the slot. */
const WITHHELD_GRACES = 5;
/** Peers after the owners that do their duty, one after another, when none of them does. */
const STAND_INS = 4;

export type Decision =
  /** Announce a lease, then let conflicts settle. */
  | { type: "claim"; slot: Slot }
  /** The claim settled: train. */
  | { type: "start"; slot: Slot }
  | { type: "abandon"; slot: Slot; reason: string }
  /** Publish the next version of a module from these contributions. */
  | { type: "fold"; module: string; parent: KnownVersion; contributions: KnownContribution[] };

export interface CoordinatorInit {
  self: string;
  role: "worker" | "observer";
  run: CID;
  config: RunConfig;
  topology: Topology;
  /** One lineage per module, by module name. */
  lineages: ReadonlyMap<string, Lineage>;
  /** When this peer began to listen (ms). */
  now: number;
}

interface OwnLease {
  slot: Slot;
  claimed: number;
  started: boolean;
  progress: number;
}

/** A module's generation that could be closed now, and why. */
interface Closable {
  head: CID;
  since: number;
}

export class Coordinator {
  readonly #init: CoordinatorInit;
  readonly #runId: string;
  readonly membership;
  readonly leases;
  #own: OwnLease | undefined;
  /** Since when a path's next slot is known to be next, and ready to start; by path and replica. */
  readonly #waiting = new Map<string, { round: number; since: number }>();
  readonly #ready = new Map<string, { round: number; since: number }>();
  /** When the first contribution to a module's next generation was seen, by head. */
  readonly #firstPending = new Map<string, Closable>();
  readonly #closable = new Map<string, Closable>();
  /** When all contributions to a module's next generation were known to be announced, by head. */
  readonly #announced = new Map<string, Closable>();
  readonly #folding = new Set<string>();
  /** Contributions whose outer gradient is on this disk; only these can be folded here. */
  readonly #available = new Set<string>();
  /** Who contributed the latest round, by path and replica. */
  readonly #trained = new Map<string, { round: number; signer: string }>();
  /** What is known of every slot, by module and slot. */
  readonly #contributions = new Map<string, Map<string, CID>>();
  /** Since when an outer gradient is still to be folded, not here, and its signer gone. */
  #orphans = new Map<string, number>();
  /** Those that have been orphans for so long that nobody is expected to bring them, and of which modules this peer owns. */
  readonly #lost = new Set<string>();
  #owned = new Set<string>();
  /** Lowest round that is not folded in all modules, per path and replica; a cache that only moves forward. */
  readonly #nextRound = new Map<string, number>();

  constructor(init: CoordinatorInit) {
    this.#init = init;
    this.#runId = init.run.toString();
    this.membership = createMembership(init.config.swarm.heartbeatSeconds * 1000);
    this.leases = createLeases(init.config.swarm.leaseSeconds * 1000);
  }

  /** Takes in a peer's heartbeat; false when it is a replay. */
  heard(peer: string, heartbeat: Heartbeat, now: number): boolean {
    if (!this.membership.heard(peer, heartbeat, now)) return false;
    this.leases.heard(peer, heartbeat.leaving ? [] : heartbeat.leases, now);
    return true;
  }

  /** A peer does not count any more, nor do its leases; what it contributed does. */
  forget(peer: string, now: number): void {
    this.membership.forget(peer);
    this.leases.heard(peer, [], now);
  }

  /** Own lease as heartbeats carry it. */
  notices(): LeaseNotice[] {
    return this.#own === undefined ? [] : [{ ...this.#own.slot, progress: this.#own.progress }];
  }

  get ownSlot(): Slot | undefined {
    return this.#own?.slot;
  }

  progress(share: number): void {
    if (this.#own !== undefined) this.#own.progress = share;
  }

  /** The slot is done, failed or given up: this peer is idle again. */
  released(): void {
    this.#own = undefined;
  }

  /** A contribution became known, if only parked: its signer holds the optimizer state of that path. */
  contributed(contribution: KnownContribution): void {
    const { cid, module, round, path, replica, signer } = contribution;
    const slot = `${module} ${slotKey(contribution)}`;
    this.#contributions.set(slot, (this.#contributions.get(slot) ?? new Map()).set(cid.toString(), cid));
    const key = `${path}/${replica}`;
    if ((this.#trained.get(key)?.round ?? -1) < round) this.#trained.set(key, { round, signer });
  }

  /** The outer gradient of a contribution is on this disk. */
  available(contribution: CID): void {
    this.#available.add(contribution.toString());
  }

  /** The outer gradient of a contribution is not on this disk any more. */
  lost(contribution: CID): void {
    this.#available.delete(contribution.toString());
  }

  /** Whether nobody is expected to bring its outer gradient any more. */
  isLost(contribution: CID): boolean {
    return this.#lost.has(contribution.toString());
  }

  isAvailable(contribution: CID): boolean {
    return this.#available.has(contribution.toString());
  }

  /** The fold that was decided has ended, in success or failure; the module may be decided on again. */
  foldEnded(module: string): void {
    this.#folding.delete(module);
    this.#closable.delete(module);
  }

  /** Live peers that train and own, this one included if it does. */
  workers(now: number): string[] {
    const others = this.membership
      .live(now)
      .filter((member) => member.heartbeat.role === "worker")
      .map((member) => member.peer);
    return this.#init.role === "worker" ? [this.#init.self, ...others] : others;
  }

  owners(module: string, now: number): string[] {
    return ownersOf(this.#runId, module, this.workers(now), this.#init.config.swarm.owners);
  }

  /** Modules whose next version is this peer's duty. */
  owned(now: number): string[] {
    return this.#init.topology.modules
      .map((module) => module.name)
      .filter((module) => this.owners(module, now).includes(this.#init.self));
  }

  lineage(module: string): Lineage {
    const lineage = this.#init.lineages.get(module);
    if (lineage === undefined) throw new Error(`No lineage of module ${module}.`);
    return lineage;
  }

  /** From when on this peer has heard the others out. */
  get listensUntil(): number {
    return this.#init.now + LISTEN_HEARTBEATS * this.#init.config.swarm.heartbeatSeconds * 1000;
  }

  #contributionsTo(module: string, slot: Slot): CID[] {
    return [...(this.#contributions.get(`${module} ${slotKey(slot)}`)?.values() ?? [])];
  }

  /**
   * Whether a module has a contribution of the slot. What this peer found to be wrong does not count, and for an
   * owner neither does what cannot be had; so it trains the slot again, or a bad or short-lived peer would end it.
   */
  #hasContribution(module: string, slot: Slot): boolean {
    const lineage = this.lineage(module);
    if (!lineage.completed(slot.round, slot.path, slot.replica)) return false;
    return this.#contributionsTo(module, slot).some((cid) => {
      if (lineage.contribution(cid) === undefined) return false;
      if (lineage.folded(cid)) return true;
      const lost = this.#owned.has(module) && this.#lost.has(cid.toString());
      return lineage.refusal(cid) === undefined && !lost;
    });
  }

  /** Whether every module of the path has a contribution of the slot. */
  completed(slot: Slot): boolean {
    return this.#init.topology
      .modulesOfPath(slot.path)
      .every((module) => this.#hasContribution(module, slot));
  }

  #isFolded(slot: Slot): boolean {
    return this.#init.topology.modulesOfPath(slot.path).every((module) => {
      const lineage = this.lineage(module);
      if (!lineage.completed(slot.round, slot.path, slot.replica)) return false;
      return this.#contributionsTo(module, slot).some((cid) => lineage.folded(cid));
    });
  }

  /** The next slot of every path and replica that has rounds left. */
  openSlots(): Slot[] {
    const { topology, config } = this.#init;
    const slots: Slot[] = [];
    for (let path = 0; path < topology.paths; path++)
      for (let replica = 0; replica < topology.replicas; replica++) {
        const key = `${path}/${replica}`;
        let round = this.#nextRound.get(key) ?? 0;
        while (round < config.training.rounds && this.#isFolded({ round, path, replica })) round++;
        this.#nextRound.set(key, round);
        while (round < config.training.rounds && this.completed({ round, path, replica })) round++;
        if (round < config.training.rounds) slots.push({ round, path, replica });
      }
    return slots;
  }

  /** Every round of every path is complete and every contribution folded that can be had; nothing is under way here. */
  done(): boolean {
    return (
      this.#own === undefined &&
      this.openSlots().length === 0 &&
      [...this.#init.lineages.values()].every((lineage) =>
        lineage.pending().every((contribution) => this.#lost.has(contribution.cid.toString())),
      )
    );
  }

  /** Decides what to do now. Call it on every message and at least once a second. */
  decide(now: number): Decision[] {
    this.membership.prune(now);
    this.leases.prune(now);
    this.#noteLost(now);
    const open = this.openSlots();
    const decisions = [...this.#decideFolds(now)];
    const lease = this.#decideLease(open, now);
    if (lease !== undefined) decisions.push(lease);
    return decisions;
  }

  /**
   * Notes which contributions can no longer be had: a peer may die after it announced one and before anybody fetched
   * its tensors. Should it come back, its work is late like any other. A live signer is waited for longer, and only
   * owners, who have tried, can tell that it does not deliver.
   */
  #noteLost(now: number): void {
    // Not this peer itself: what it has is available, and what its disk lost nobody brings.
    const live = new Set(this.membership.live(now).map((member) => member.peer));
    const orphans = new Map<string, number>();
    const graceMs = this.#init.config.swarm.graceSeconds * 1000;
    let owned: Set<string> | undefined;
    this.#lost.clear();
    for (const [module, lineage] of this.#init.lineages)
      for (const { cid, signer } of lineage.pending()) {
        if (this.isAvailable(cid)) continue;
        const since = this.#orphans.get(cid.toString()) ?? now;
        orphans.set(cid.toString(), since);
        if (now - since < (live.has(signer) ? WITHHELD_GRACES : LOST_GRACES) * graceMs) continue;
        owned ??= new Set(this.owned(now));
        if (owned.has(module) || !live.has(signer)) this.#lost.add(cid.toString());
      }
    this.#orphans = orphans;
    this.#owned = owned ?? new Set();
  }

  #decideLease(open: Slot[], now: number): Decision | undefined {
    const ready = open.filter((slot) => this.#isReady(slot, now));
    if (this.#init.role !== "worker") return undefined;
    if (this.#own !== undefined) return this.#decideOwn(this.#own, now);
    // Who has just come hears the others out first; else all who start together claim the same slot.
    if (now < this.listensUntil) return undefined;
    const slot = this.#choose(ready, now);
    if (slot === undefined) return undefined;
    this.#own = { slot, claimed: now, started: false, progress: 0 };
    return { type: "claim", slot };
  }

  #decideOwn(own: OwnLease, now: number): Decision | undefined {
    const { slot } = own;
    const abandon = (reason: string): Decision => {
      this.#own = undefined;
      return { type: "abandon", slot, reason };
    };
    // Half a round of work is not thrown away: both contributions are folded, as those of replicas are.
    if (this.completed(slot) && own.progress < 0.5) return abandon("another peer completed it");
    const rival = this.leases
      .on(slot, now)
      .find((lease) =>
        yields(
          this.#runId,
          slot,
          { peer: this.#init.self, progress: own.progress },
          { peer: lease.holder, progress: lease.progress },
        ),
      );
    if (rival !== undefined) return abandon(`peer ${rival.holder} has the earlier claim`);
    if (own.started || now - own.claimed < this.#init.config.swarm.settleSeconds * 1000) return undefined;
    own.started = true;
    return { type: "start", slot };
  }

  /**
   * A slot may start when all its modules are at the generation of the round; after twice the grace time it
   * starts with what there is. (Once the grace time is over a generation closes without the missing, so a
   * round that waits as long again starts from a current head in all but broken cases.)
   */
  #isReady(slot: Slot, now: number): boolean {
    const waiting = sinceRound(this.#waiting, slot, now);
    const current = this.#init.topology
      .modulesOfPath(slot.path)
      .every((module) => this.lineage(module).head().generation >= slot.round);
    const ready = current || now - waiting >= 2 * this.#init.config.swarm.graceSeconds * 1000;
    if (ready) sinceRound(this.#ready, slot, now);
    return ready;
  }

  /**
   * The slot to claim, if any. All idle workers rank themselves alike for each slot (who trained the path last
   * comes first, since it holds optimizer state and shard, then rendezvous order); the n-th waits n settle times
   * for those before it. So most slots are claimed once, and a slot whose favourite is silent is still taken.
   */
  #choose(ready: Slot[], now: number): Slot | undefined {
    const idle = this.workers(now).filter(
      (peer) => peer === this.#init.self || this.leases.of(peer, now).length === 0,
    );
    let best: { slot: Slot; rank: number } | undefined;
    // Among equals each peer prefers its own, so that peers that do not know each other yet seldom collide.
    const own = (slot: Slot): bigint => precedence(this.#runId, slot, this.#init.self);
    const preferred = ready.toSorted((a, b) => a.round - b.round || (own(a) < own(b) ? -1 : 1));
    for (const slot of preferred) {
      if (this.leases.on(slot, now).length > 0) continue;
      const order = rendezvous(["slot", this.#runId, slot.path, slot.replica], idle);
      const previous = this.#trained.get(`${slot.path}/${slot.replica}`)?.signer;
      const rank =
        previous === this.#init.self
          ? 0
          : order.indexOf(this.#init.self) + (previous !== undefined && idle.includes(previous) ? 1 : 0);
      const wait = rank * 2 * this.#init.config.swarm.settleSeconds * 1000;
      if (now - sinceRound(this.#ready, slot, now) < wait) continue;
      if (best === undefined || rank < best.rank) best = { slot, rank };
    }
    return best?.slot;
  }

  *#decideFolds(now: number): Generator<Decision> {
    for (const { name: module } of this.#init.topology.modules) {
      const lineage = this.lineage(module);
      const head = lineage.head();
      const known = lineage.pending();
      const pending = known.filter((contribution) => this.isAvailable(contribution.cid));
      if (pending.length === 0 || this.#folding.has(module)) continue;
      const first = this.#since(this.#firstPending, module, head.cid, now);
      const here = new Set(pending.map(slotKey));
      const absent = new Set(
        known
          .filter((c) => !this.isAvailable(c.cid) && !this.#lost.has(c.cid.toString()))
          .map(slotKey)
          .filter((slot) => !here.has(slot)),
      );
      if (!this.#isClosable(module, lineage, head, absent, first, now)) continue;
      const closable = this.#since(this.#closable, module, head.cid, now);
      const turn = this.#turn(module, now);
      if (this.#init.role !== "worker" || now - closable < turn * this.ownerDelayMs) continue;
      this.#folding.add(module);
      yield { type: "fold", module, parent: head, contributions: pending.slice(0, MAX_CONTRIBUTIONS) };
    }
  }

  /**
   * How many others come before this peer in folding a module. The owners could all be strangers that never do it,
   * so any worker that has the outer gradients stands in for them; folds of one set are one version, whoever makes it.
   */
  #turn(module: string, now: number): number {
    const workers = this.workers(now);
    const order = ownersOf(this.#runId, module, workers, workers.length).indexOf(this.#init.self);
    return Math.min(order, this.#init.config.swarm.owners + STAND_INS);
  }

  /** How long the next owner waits before it does the duty of the one before. */
  get ownerDelayMs(): number {
    const { heartbeatSeconds, leaseSeconds } = this.#init.config.swarm;
    return Math.max(2 * heartbeatSeconds, leaseSeconds / 4) * 1000;
  }

  /**
   * A generation closes when all expected contributions are in, or when the quorum is in and the grace time over.
   * After the last round, generations carry only late contributions, and close when no more can come.
   */
  #isClosable(
    module: string,
    lineage: Lineage,
    head: KnownVersion,
    /** Slots of whose contributions some are known but none is on this disk yet. */
    absent: ReadonlySet<string>,
    firstPending: number,
    now: number,
  ): boolean {
    const expected = lineage.expected(head.generation + 1);
    const graceOver = now - firstPending >= this.#init.config.swarm.graceSeconds * 1000;
    if (expected.length === 0) {
      const more = this.openSlots().some((slot) =>
        this.#init.topology.modulesOfPath(slot.path).includes(module),
      );
      return (!more && absent.size === 0) || graceOver;
    }
    const present = expected.filter(
      (slot) => this.#hasContribution(module, slot) && !absent.has(slotKey(slot)),
    ).length;
    if (present === expected.length) return true;
    return graceOver && present >= Math.ceil(this.#init.config.outer.quorum * expected.length);
  }

  #since(times: Map<string, Closable>, module: string, head: CID, now: number): number {
    const known = times.get(module);
    if (known !== undefined && known.head.equals(head)) return known.since;
    times.set(module, { head, since: now });
    return now;
  }

  /** What this peer waits for, in words with names and ages; undefined when it works or nothing is left. */
  waitingFor(now: number, fetches: readonly FetchProgress[] = []): string | undefined {
    const wait = this.done() ? undefined : this.#waitOf(now, fetches);
    return wait === undefined ? undefined : describeWait(wait, now);
  }

  #waitOf(now: number, fetches: readonly FetchProgress[]): Wait | undefined {
    if (this.#own !== undefined) return this.#waitOfOwn(this.#own, fetches);
    const { role } = this.#init;
    const others = this.membership.live(now).length;
    if (role === "observer" && others === 0) return { for: "peers" };
    const until = this.listensUntil;
    if (role === "worker" && now < until) return { for: "claims", until };
    const open = this.openSlots();
    for (const slot of open)
      for (const module of this.#init.topology.modulesOfPath(slot.path))
        if (this.lineage(module).head().generation < slot.round)
          return this.#waitOfModule(module, slot.round, fetches, now);
    const [next] = open.toSorted((a, b) => a.round - b.round);
    if (next === undefined) return undefined;
    const missing = open.filter(({ round }) => round === next.round).map((slot) => this.#missing(slot, now));
    return { for: "slots", round: next.round, missing };
  }

  /** Of a peer that has claimed a slot: what it lacks before the first step. */
  #waitOfOwn(
    { slot, claimed, started, progress }: OwnLease,
    fetches: readonly FetchProgress[],
  ): Wait | undefined {
    const { round, path } = slot;
    if (!started)
      return { for: "rivals", round, path, until: claimed + this.#init.config.swarm.settleSeconds * 1000 };
    if (progress > 0) return undefined;
    for (const module of this.#init.topology.modulesOfPath(path)) {
      const { generation, parameters, momentum } = this.lineage(module).head();
      const fetch = fetches.find(
        ({ root }) => root?.equals(parameters) || (momentum !== null && root?.equals(momentum)),
      );
      if (fetch !== undefined)
        return { for: "blocks", round, what: `${module} generation ${generation}`, fetch };
    }
    const fetch = fetches.find(({ root }) => root === undefined);
    return fetch && { for: "blocks", round, what: `the shard of path ${path}`, fetch };
  }

  /** Why a module's next generation is not there: its work, its outer gradients or its owner. */
  #waitOfModule(module: string, round: number, fetches: readonly FetchProgress[], now: number): Wait {
    const lineage = this.lineage(module);
    const head = lineage.head();
    const { generation } = head;
    const missing = lineage.expected(generation + 1).filter((slot) => !this.#hasContribution(module, slot));
    if (missing.length > 0) {
      const work = missing.map((slot) => this.#missing(slot, now));
      return { for: "contributions", round, module, generation, missing: work };
    }
    const deltas = lineage.pending().map(({ delta }) => delta);
    const fetch = fetches.find(({ root }) => deltas.some((delta) => root?.equals(delta)));
    if (fetch !== undefined) return { for: "blocks", round, what: `an outer gradient of ${module}`, fetch };
    // A peer without the outer gradients cannot tell when the generation could be closed, but when all were announced.
    const since = this.#closable.get(module)?.since ?? this.#since(this.#announced, module, head.cid, now);
    const owners = this.owners(module, now);
    const duty = Math.min(Math.floor((now - since) / this.ownerDelayMs), owners.length - 1);
    const peer = owners[duty];
    const member = peer === undefined ? undefined : this.membership.member(peer);
    // The next in line takes over after a while; the last one's duty passes on when it counts as gone.
    const takeover =
      duty < owners.length - 1 || member === undefined
        ? since + (duty + 1) * this.ownerDelayMs
        : member.lastSeen + member.timeout;
    const owner = peer === undefined ? undefined : this.#expected(peer);
    return { for: "owner", round, module, generation, owner, takeover };
  }

  #missing(slot: Slot, now: number): MissingWork {
    const [lease] = this.leases.on(slot, now);
    if (lease === undefined) return { path: slot.path };
    const { holder, progress, expires } = lease;
    return { path: slot.path, holder: { ...this.#expected(holder), progress, expires } };
  }

  #expected(peer: string): Expected {
    const lastSeen = peer === this.#init.self ? undefined : (this.membership.member(peer)?.lastSeen ?? null);
    return { peer, lastSeen };
  }
}

/** When the slot's round was first noted under its path and replica; notes it now if it was not. */
function sinceRound(times: Map<string, { round: number; since: number }>, slot: Slot, now: number): number {
  const key = `${slot.path}/${slot.replica}`;
  const known = times.get(key);
  if (known?.round === slot.round) return known.since;
  times.set(key, { round: slot.round, since: now });
  return now;
}

export type { Lease, Slot };
