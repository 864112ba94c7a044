/**
 * What this peer should do next: a pure state machine. Messages and the clock go in (`now` in ms), decisions
 * come out; `src/swarm/swarm.ts` carries them out. The same code runs in the daemon, the tests and the simulator.
 */
import type { CID } from "multiformats/cid";
import type { RunConfig } from "../../objects/config.ts";
import type { Lineage } from "../../outer/lineage.ts";
import type { KnownContribution, KnownVersion } from "../../outer/types.ts";
import type { Topology } from "../../run/types.ts";
import type { FetchProgress } from "../../store/types.ts";
import { precedence, yields } from "./leases.ts";
import type { Heartbeat, LeaseNotice } from "../messages.ts";
import { ownersOf, rendezvous } from "../members/rendezvous.ts";
import { GREETERS } from "../members/interval.ts";
import { isSameSlot, slotKey } from "../../plan/slots.ts";
import type { Plan, Slot } from "../../plan/types.ts";
import type { Offer } from "./offers.ts";
import type { Discount } from "./open-slots.ts";
import { greeting, View } from "./view.ts";
import { describeWait, type Expected, type MissingWork, type Wait } from "./waiting.ts";

/** What one version can list; more are folded in the next. */
const MAX_CONTRIBUTIONS = 8192;
/** Heartbeats that a peer listens to before its first claim. */
const LISTEN_HEARTBEATS = 3;
/** Lease times after which a peer tries again what failed. */
const FAILED_LEASES = 2;
/** Grace times after which what was only referred to is given up. */
const MISSING_GRACES = 2;
/**
 * Grace times after which an outer gradient that is not here is given up although its signer still talks: it may have a
 * slow link, or withhold it so that nobody trains the slot.
 */
const WITHHELD_GRACES = 5;
/** Peers after the owners that do their duty, one after another, when none of them does. */
const STAND_INS = 4;
const NO_MODULES: readonly string[] = [];
const NOTHING: ReadonlyMap<string, never> = new Map<string, never>();

export type Decision =
  /** Announce a lease, then let conflicts settle. */
  | { type: "claim"; slot: Slot }
  /** The claim settled: train. */
  | { type: "start"; slot: Slot }
  | { type: "abandon"; slot: Slot; reason: string }
  /** Publish the next version of a module from these contributions. */
  | { type: "fold"; module: string; parent: KnownVersion; contributions: readonly KnownContribution[] };

export interface CoordinatorInit {
  self: string;
  role: "worker" | "observer";
  run: CID;
  config: RunConfig;
  topology: Topology;
  plan: Plan;
  /** One lineage per module, by module name. */
  lineages: ReadonlyMap<string, Lineage>;
  /** When this peer began to listen (ms). */
  now: number;
  /** What this peer knows of the others; peers of a simulation may share it. */
  view?: View;
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

/** What of a module is on this disk. */
interface Stock {
  module: string;
  lineage: Lineage;
  /** Outer gradients that are here, also of contributions that are not pending. */
  size: number;
  /** Grows with every change of these. */
  revision: number;
  /** What the next generation waits for, by the head at the time. */
  awaited?: { head: KnownVersion; slots: readonly Slot[] };
  /** The pending ones that are here, of what was known and here at the time. */
  foldable?: { known: readonly KnownContribution[]; revision: number; here: readonly KnownContribution[] };
  coverage?: Coverage;
}

/** How much of a module's next generation is in, for a state of what is here and what is lost. */
interface Coverage {
  foldable: readonly KnownContribution[];
  orphaned: ReadonlyMap<string, KnownContribution>;
  missed: ReadonlyMap<string, KnownContribution>;
  discount: Discount | undefined;
  /** Slots of whose contributions some are known but none is on this disk yet. */
  absent: number;
  /** Slots that the generation waits for, and those of them whose contributions are on this disk. */
  expected: number;
  present: number;
}

export class Coordinator {
  readonly #init: CoordinatorInit;
  readonly #runId: string;
  readonly #view: View;
  #own: OwnLease | undefined;
  /** The round that this peer was training when it ended, and its progress; until it claims anything. */
  #kept: Pick<OwnLease, "slot" | "progress"> | undefined;
  /** When the first contribution to a module's next generation was seen, by head. */
  readonly #firstPending = new Map<string, Closable>();
  readonly #closable = new Map<string, Closable>();
  /** When all contributions to a module's next generation were known to be announced, by head. */
  readonly #announced = new Map<string, Closable>();
  readonly #folding = new Set<string>();
  /** Contributions whose outer gradient is on this disk; only these can be folded here. */
  readonly #available = new Set<string>();
  /** Of the modules of which there are any, or were, in the topology's order. */
  #stocks: Stock[] = [];
  /** Those whose signer has been gone for so long that nobody is expected to bring them. */
  #orphaned: ReadonlyMap<string, KnownContribution> = NOTHING;
  /** Those that this peer has tried to get in vain. */
  #missed: ReadonlyMap<string, KnownContribution> = NOTHING;
  /** Since when an outer gradient that this peer should fold is not here. */
  #absent: ReadonlyMap<string, number> = NOTHING;
  /** Since when contributions, by CID, are not folded although no slot is open any more (ms). */
  #left: ReadonlyMap<string, number> = NOTHING;
  /** Until when this peer leaves the slots of a lane, by its index, to others. */
  readonly #failed = new Map<number, number>();
  /** What does not count for this peer although it is known. */
  #discount: Discount | undefined;
  /** What this peer owns among these workers. */
  #owned: { of: readonly string[]; modules: readonly string[] } | undefined;
  /** When this peer last decided. */
  #now: number;
  /** The live workers with this peer among them. */
  #workers: { of: readonly string[]; peers: readonly string[] } | undefined;

  constructor(init: CoordinatorInit) {
    this.#init = init;
    this.#runId = init.run.toString();
    this.#view = init.view ?? new View(init);
    this.#now = init.now;
  }

  get membership(): View["membership"] {
    return this.#view.membership;
  }

  get leases(): View["leases"] {
    return this.#view.leases;
  }

  /** Takes in a peer's heartbeat; false when it is a replay. */
  heard(peer: string, heartbeat: Heartbeat, now: number): boolean {
    return this.#view.heard(peer, heartbeat, now);
  }

  /** Milliseconds until the next heartbeat is due after one that is sent now. */
  period(now: number): number {
    return this.#view.period(this.#own !== undefined || this.owned(now).length > 0, now);
  }

  /** Whether it falls to this peer to answer a newcomer, so that the others need not. */
  greets(newcomer: string, now: number): boolean {
    const { self } = this.#init;
    const others = this.#view.greeters(newcomer, now);
    if (this.membership.member(self)?.isLive(now) === true) return others.includes(self);
    // The first of all with this peer among them are among the first of the others and this one.
    return (
      others.includes(self) || rendezvous(greeting(newcomer), [self, ...others], GREETERS).includes(self)
    );
  }

  /** A peer does not count any more, nor do its leases; what it contributed does. */
  forget(peer: string, now: number): void {
    this.#view.forget(peer, now);
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

  /** This peer has kept the slot's round from before it ended, and can go on with it. */
  kept(slot: Slot, progress: number): void {
    this.#kept = { slot, progress };
  }

  /** The slot is done, failed or given up: this peer is idle again. */
  released(): void {
    this.#own = undefined;
  }

  /** This peer cannot do the slot: it leaves it to others for a while. */
  failed(slot: Slot, now: number): void {
    const pause = FAILED_LEASES * this.#init.config.swarm.leaseSeconds * 1000;
    this.#failed.set(this.#init.plan.laneOf(slot).index, now + pause);
  }

  /** A contribution became known, if only as an orphan. */
  contributed(contribution: KnownContribution): void {
    this.#view.contributed(contribution);
  }

  /** The outer gradient of a contribution is on this disk. */
  available(module: string, contribution: CID): void {
    if (this.#available.has(contribution.toString())) return;
    this.#available.add(contribution.toString());
    this.#stock(module, 1);
  }

  /** The outer gradient of a contribution is not on this disk any more. */
  lost(module: string, contribution: CID): void {
    if (this.#available.delete(contribution.toString())) this.#stock(module, -1);
  }

  #stock(module: string, change: number): void {
    let stock = this.#stocks.find((other) => other.module === module);
    if (stock === undefined) {
      const { modules } = this.#init.topology;
      stock = { module, lineage: this.lineage(module), size: 0, revision: 0 };
      const place = (name: string): number => modules.findIndex((other) => other.name === name);
      this.#stocks = [...this.#stocks, stock].toSorted((x, y) => place(x.module) - place(y.module));
    }
    stock.size += change;
    stock.revision++;
  }

  /** Whether nobody is expected to bring its outer gradient any more. */
  isLost(contribution: CID): boolean {
    const key = contribution.toString();
    return this.#missed.has(key) || (this.#orphaned.has(key) && !this.#available.has(key));
  }

  isAvailable(contribution: CID): boolean {
    return this.#available.has(contribution.toString());
  }

  /** The fold that was decided has ended, in success or failure; the module may be decided on again. */
  foldEnded(module: string): void {
    this.#folding.delete(module);
    this.#closable.delete(module);
  }

  /** Live peers that train and own, this one included if it does; the same array until that changes. */
  workers(now: number): readonly string[] {
    const live = this.#view.workers(now);
    if (this.#init.role !== "worker" || this.#view.works(this.#init.self, now)) return live;
    if (this.#workers?.of !== live) this.#workers = { of: live, peers: [this.#init.self, ...live] };
    return this.#workers.peers;
  }

  owners(module: string, now: number): string[] {
    return this.#duties(now).owners.get(module) ?? [];
  }

  /** Modules whose next version is this peer's duty. */
  owned(now: number): readonly string[] {
    const of = this.#view.workers(now);
    if (this.#owned?.of !== of)
      this.#owned = { of, modules: this.#duties(now).owned.get(this.#init.self) ?? NO_MODULES };
    return this.#owned.modules;
  }

  #duties(now: number): ReturnType<View["duties"]> {
    return this.#view.duties(now, this.#init.role === "worker" ? this.#init.self : undefined);
  }

  lineage(module: string): Lineage {
    return this.#view.lineage(module);
  }

  /**
   * From when on this peer has heard the others out: after three heartbeat periods, or one of those who speak least,
   * but never longer than twice the grace time, however many claim to be there.
   */
  get listensUntil(): number {
    const { heartbeatSeconds, graceSeconds } = this.#init.config.swarm;
    const slowest = Math.min(this.#view.period(false, this.#now), 2 * graceSeconds * 1000);
    return this.#init.now + Math.max(LISTEN_HEARTBEATS * heartbeatSeconds * 1000, slowest);
  }

  /** What `listensUntil` never exceeds. */
  get #listensUntilAtMost(): number {
    const { heartbeatSeconds, graceSeconds } = this.#init.config.swarm;
    return this.#init.now + Math.max(LISTEN_HEARTBEATS * heartbeatSeconds, 2 * graceSeconds) * 1000;
  }

  /** Whether every module of the path has a contribution of the slot. */
  completed(slot: Slot): boolean {
    return this.#view.completed(slot, this.#discount);
  }

  #hasContribution(module: string, slot: Slot): boolean {
    return this.#view.hasContribution(module, slot, this.#discount);
  }

  /** The next slot of every lane that is not over. */
  openSlots(): readonly Slot[] {
    return this.#view.openSlots(this.#discount);
  }

  /**
   * Every slot of the plan is complete and every contribution folded that can be had; nothing is under way here,
   * nor is anything that other messages refer to and that has not arrived.
   */
  done(): boolean {
    return (
      this.#own === undefined &&
      this.openSlots().length === 0 &&
      [...this.#init.lineages.values()].every((lineage) =>
        lineage.pending().every(({ cid }) => this.isLost(cid) || this.#isLeft(cid)),
      ) &&
      !this.#view.awaits(MISSING_GRACES * this.#init.config.swarm.graceSeconds * 1000, this.#now)
    );
  }

  /** Decides what to do now. Call it on every message and at least once a second. */
  decide(now: number): Decision[] {
    this.#view.prune(now);
    const owned = this.owned(now);
    this.#noteLost(owned, now);
    this.#now = now;
    this.#noteLeft(now);
    const folds = this.#stocks.length === 0 ? [] : [...this.#decideFolds(owned, now)];
    const lease = this.#decideLease(now);
    return lease === undefined ? folds : [...folds, lease];
  }

  /**
   * Notes which contributions can no longer be had: a peer may die after it announced one and before anybody fetched
   * its tensors. Then its slot is like one whose lease expired, and open again a lease time after the signer was found
   * gone. Should it come back, its work is late like any other. A live signer is waited for longer, and only owners, who
   * have tried, can tell that it does not deliver.
   */
  #noteLost(owned: readonly string[], now: number): void {
    const { graceSeconds, leaseSeconds } = this.#init.config.swarm;
    const [goneMs, withheldMs] = [1000 * leaseSeconds, WITHHELD_GRACES * 1000 * graceSeconds];
    // Not only of others: what this peer made is available, and what its disk lost nobody brings.
    this.#orphaned = this.#view.orphaned(goneMs, now);
    if (owned.length === 0) {
      // Most peers own nothing.
      this.#absent = this.#missed = NOTHING;
      this.#discount = undefined;
      return;
    }
    const absent = new Map<string, number>();
    const missed = new Map<string, KnownContribution>();
    for (const module of owned)
      for (const contribution of this.lineage(module).pending()) {
        const { cid, signer } = contribution;
        const key = cid.toString();
        if (this.#available.has(key)) continue;
        const since = this.#absent.get(key) ?? now;
        absent.set(key, since);
        const isLive = this.membership.member(signer)?.isLive(now) === true;
        if (now - since >= (isLive ? withheldMs : goneMs)) missed.set(key, contribution);
      }
    this.#absent = absent;
    this.#missed = unlessSame(missed, this.#missed);
    const discount = new Map(missed);
    for (const [cid, contribution] of this.#orphaned)
      if (owned.includes(contribution.module) && !this.#available.has(cid)) discount.set(cid, contribution);
    this.#discount = discount.size === 0 ? undefined : unlessSame(discount, this.#discount);
  }

  /**
   * Notes what stays unfolded although nothing is left to do. Of modules that it does not own a peer learns only so that
   * an outer gradient is lost whose signer is live: who owns them folds what can be had.
   */
  #noteLeft(now: number): void {
    if (this.#own !== undefined || this.openSlots().length > 0) {
      this.#left = NOTHING;
      return;
    }
    const left = new Map<string, number>();
    for (const lineage of this.#init.lineages.values())
      for (const { cid } of lineage.pending())
        if (!this.isLost(cid)) left.set(cid.toString(), this.#left.get(cid.toString()) ?? now);
    this.#left = left;
  }

  /** Whether its owners have had the time to find out that it does not come, and for the fold that would follow. */
  #isLeft(contribution: CID): boolean {
    const patience = 1000 * this.#init.config.swarm.graceSeconds * (WITHHELD_GRACES + 1);
    return this.#now - (this.#left.get(contribution.toString()) ?? this.#now) >= patience;
  }

  #decideLease(now: number): Decision | undefined {
    if (this.#init.role !== "worker") return undefined;
    if (this.#own !== undefined) return this.#decideOwn(this.#own, now);
    // Who has just come hears the others out first; else all who start together claim the same slot.
    if (now < this.#listensUntilAtMost && now < this.listensUntil) return undefined;
    if (this.#kept !== undefined && this.#isFree(this.#kept, now)) return this.#claim(this.#kept, now);
    const { plan } = this.#init;
    const failed = ({ slot }: Offer): boolean =>
      now < (this.#failed.get(plan.laneOf(slot).index) ?? Number.NEGATIVE_INFINITY);
    const offered = this.#view.offers(this.#init.self, now, this.#discount);
    if (offered.length === 0) return undefined;
    const offers = offered.filter((offer) => !failed(offer));
    if (offers.length === 0) return undefined;
    // Among equals each peer prefers its own, so that peers that do not know each other yet seldom collide.
    const own = (slot: Slot): bigint => precedence(this.#runId, slot, this.#init.self);
    const [{ slot }] = offers.toSorted(
      (a, b) =>
        a.rank - b.rank || plan.order(a.slot) - plan.order(b.slot) || (own(a.slot) < own(b.slot) ? -1 : 1),
    ) as [Offer];
    return this.#claim({ slot, progress: 0 }, now);
  }

  #claim({ slot, progress }: Pick<OwnLease, "slot" | "progress">, now: number): Decision {
    this.#own = { slot, claimed: now, started: false, progress };
    this.#kept = undefined;
    return { type: "claim", slot };
  }

  /** Whether a kept round is still to be done, and whoever holds it by now would yield to this peer. */
  #isFree({ slot, progress }: Pick<OwnLease, "slot" | "progress">, now: number): boolean {
    const own = { peer: this.#init.self, progress };
    return (
      this.openSlots().some((open) => isSameSlot(open, slot)) &&
      this.leases
        .on(slot, now)
        .every((lease) => yields(this.#runId, slot, { peer: lease.holder, progress: lease.progress }, own))
    );
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
      .find(
        (lease) =>
          lease.holder !== this.#init.self &&
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

  *#decideFolds(owned: readonly string[], now: number): Generator<Decision> {
    if (this.#init.role !== "worker") return;
    // Who has no outer gradient of a module has nothing to fold there.
    for (const stock of this.#stocks) {
      const { module, lineage } = stock;
      // A stand-in acts when it has enough for the quorum; most have no more than their own.
      const least = owned.includes(module) ? 1 : this.#quorum(stock);
      if (stock.size < least || this.#folding.has(module)) continue;
      const foldable = this.#foldable(stock);
      if (foldable.length < least) continue;
      const head = lineage.head();
      const first = this.#since(this.#firstPending, module, head.cid, now);
      if (!this.#isClosable(module, this.#coverage(stock, foldable), first, now)) continue;
      const closable = this.#since(this.#closable, module, head.cid, now);
      if (now - closable < this.#turn(module, now) * this.ownerDelayMs) continue;
      this.#folding.add(module);
      yield { type: "fold", module, parent: head, contributions: foldable.slice(0, MAX_CONTRIBUTIONS) };
    }
  }

  /** What of a module's pending contributions is on this disk; the same array until that may have changed. */
  #foldable(stock: Stock): readonly KnownContribution[] {
    const known = stock.lineage.pending();
    const { revision } = stock;
    if (stock.foldable?.known !== known || stock.foldable.revision !== revision) {
      const here = known.filter((contribution) => this.isAvailable(contribution.cid));
      stock.foldable = { known, revision, here };
    }
    return stock.foldable.here;
  }

  #coverage(stock: Stock, foldable: readonly KnownContribution[]): Coverage {
    const { module, lineage, coverage: before } = stock;
    const [orphaned, missed, discount] = [this.#orphaned, this.#missed, this.#discount];
    if (
      before?.foldable === foldable &&
      before.orphaned === orphaned &&
      before.missed === missed &&
      before.discount === discount
    )
      return before;
    const here = new Set(foldable.map(slotKey));
    const absent = new Set(
      lineage
        .pending()
        .filter(({ cid }) => !this.isAvailable(cid) && !this.isLost(cid))
        .map(slotKey)
        .filter((slot) => !here.has(slot)),
    );
    const expected = this.#awaited(stock);
    const present = expected.filter(
      (slot) => this.#hasContribution(module, slot) && !absent.has(slotKey(slot)),
    );
    const counts = { absent: absent.size, expected: expected.length, present: present.length };
    stock.coverage = { foldable, orphaned, missed, discount, ...counts };
    return stock.coverage;
  }

  /** Contributions with which a module's generation may close after the grace time; 1 when none is expected. */
  #quorum(stock: Stock): number {
    return Math.max(1, Math.ceil(this.#init.config.outer.quorum * this.#awaited(stock).length));
  }

  #awaited(stock: Stock): readonly Slot[] {
    const head = stock.lineage.head();
    if (stock.awaited?.head !== head)
      stock.awaited = { head, slots: this.#init.plan.expected(stock.module, head) };
    return stock.awaited.slots;
  }

  /**
   * How many others come before this peer in folding a module. The owners could all be strangers that never do it,
   * so any worker that has the outer gradients stands in for them; folds of one set are one version, whoever makes it.
   */
  #turn(module: string, now: number): number {
    const workers = this.workers(now);
    const last = this.#init.config.swarm.owners + STAND_INS;
    const order = ownersOf(this.#runId, module, workers, last).indexOf(this.#init.self);
    return order < 0 ? last : order;
  }

  /** How long the next owner waits before it does the duty of the one before. */
  get ownerDelayMs(): number {
    const { heartbeatSeconds, leaseSeconds } = this.#init.config.swarm;
    return Math.max(2 * heartbeatSeconds, leaseSeconds / 4) * 1000;
  }

  /**
   * A generation closes when all expected contributions are in, or when the quorum is in and the grace time over.
   * Once nothing is expected, generations carry only late contributions, and close when no more can come.
   */
  #isClosable(module: string, coverage: Coverage, firstPending: number, now: number): boolean {
    const { absent, expected, present } = coverage;
    const graceOver = now - firstPending >= this.#init.config.swarm.graceSeconds * 1000;
    if (expected === 0) {
      const { plan } = this.#init;
      const more = this.openSlots().some((slot) => plan.laneOf(slot).modules.includes(module));
      return (!more && absent === 0) || graceOver;
    }
    if (present === expected) return true;
    return graceOver && present >= Math.ceil(this.#init.config.outer.quorum * expected);
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
    const { role, plan } = this.#init;
    const others = this.membership.live(now).length;
    if (role === "observer" && others === 0) return { for: "peers" };
    const until = this.listensUntil;
    if (role === "worker" && now < until) return { for: "claims", until };
    const open = this.openSlots();
    for (const slot of open)
      for (const module of plan.laneOf(slot).modules)
        if (!plan.isReady(slot, module, this.lineage(module).head()))
          return this.#waitOfModule(module, slot.round, fetches, now);
    const [next] = open.toSorted((a, b) => plan.order(a) - plan.order(b));
    if (next === undefined) return undefined;
    const missing = open
      .filter((slot) => plan.order(slot) === plan.order(next))
      .map((slot) => this.#missing(slot, now));
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
    for (const module of this.#init.plan.laneOf(slot).modules) {
      const { generation, state } = this.lineage(module).head();
      const packs = Object.values(state);
      const fetch = fetches.find(({ root }) => packs.some((pack) => root?.equals(pack)));
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
    const missing = this.#init.plan
      .expected(module, head)
      .filter((slot) => !this.#hasContribution(module, slot));
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

/** A map, or the one from before when both have the same keys, so that what was found out with that one holds. */
function unlessSame<T>(
  map: ReadonlyMap<string, T>,
  before: ReadonlyMap<string, T> | undefined,
): ReadonlyMap<string, T> {
  return before?.size === map.size && [...map.keys()].every((key) => before.has(key)) ? before : map;
}
