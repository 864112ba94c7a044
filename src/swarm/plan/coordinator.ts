/**
 * What this peer should do next: a pure state machine. Messages and the clock go in (`now` in ms), decisions
 * come out; `src/swarm/swarm.ts` carries them out. The same code runs in the daemon, the tests and the simulator.
 */
import type { CID } from "multiformats/cid";
import type { Lineage } from "../../outer/lineage.ts";
import type { KnownContribution } from "../../outer/types.ts";
import type { Slot } from "../../plan/types.ts";
import type { FetchProgress } from "../../store/types.ts";
import { GREETERS } from "../members/interval.ts";
import { rendezvous } from "../members/rendezvous.ts";
import type { Heartbeat, LeaseNotice } from "../messages.ts";
import { Claims } from "./claims.ts";
import { Closing } from "./closing.ts";
import { WaitFinder } from "./find-wait.ts";
import { Shortfall } from "./shortfall.ts";
import { Stock } from "./stock.ts";
import type { CoordinatorInit, Decision, Surroundings } from "./types.ts";
import { greeting, View } from "./view.ts";
import { describeWait } from "./waiting.ts";

export type { CoordinatorInit, Decision } from "./types.ts";

/** Grace times after which what was only referred to is given up. */
const MISSING_GRACES = 2;
const NO_MODULES: readonly string[] = [];

export class Coordinator {
  readonly #init: Surroundings;
  readonly #view: View;
  readonly #stock: Stock;
  readonly #shortfall: Shortfall;
  readonly #claims: Claims;
  readonly #closing: Closing;
  readonly #waits: WaitFinder;
  /** What this peer owns among these workers. */
  #owned: { of: readonly string[]; modules: readonly string[] } | undefined;
  /** The live workers with this peer among them. */
  #workers: { of: readonly string[]; peers: readonly string[] } | undefined;
  /** When this peer last decided. */
  #now: number;

  constructor(init: CoordinatorInit) {
    this.#view = init.view ?? new View(init);
    this.#init = { ...init, view: this.#view };
    this.#stock = new Stock(this.#init);
    this.#shortfall = new Shortfall(this.#init, this.#stock);
    this.#claims = new Claims(this.#init);
    this.#closing = new Closing(this.#init, this.#stock, this.#shortfall);
    this.#waits = new WaitFinder(this.#init);
    this.#now = init.now;
  }

  // ---------------------------------------------------------------- peers

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
    return this.#view.period(this.#claims.own !== undefined || this.owned(now).length > 0, now);
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

  // ---------------------------------------------------------------- the own slot

  /** Own lease as heartbeats carry it. */
  notices(): LeaseNotice[] {
    return this.#claims.notices();
  }

  get ownSlot(): Slot | undefined {
    return this.#claims.own?.slot;
  }

  /** The own slot is so far done, 0..1. Throws RangeError for any other number. */
  progress(share: number): void {
    this.#claims.progress(share);
  }

  /** This peer has kept the slot's round from before it ended, and can go on with it. */
  kept(slot: Slot, progress: number): void {
    this.#claims.kept(slot, progress);
  }

  /** The slot is done, failed or given up: this peer is idle again. */
  released(): void {
    this.#claims.released();
  }

  /** This peer cannot do the slot: it leaves it to others for a while. */
  failed(slot: Slot, now: number): void {
    this.#claims.failed(slot, now);
  }

  /** From when on this peer has heard the others out. */
  get listensUntil(): number {
    return this.#claims.listensUntil(this.#now);
  }

  // ---------------------------------------------------------------- contributions

  /** A contribution became known, if only as an orphan. */
  contributed(contribution: KnownContribution): void {
    this.#view.contributed(contribution);
  }

  /** The outer gradient of a contribution is on this disk. */
  available(module: string, contribution: CID): void {
    this.#stock.add(module, contribution);
  }

  /** The outer gradient of a contribution is not on this disk any more. */
  lost(module: string, contribution: CID): void {
    this.#stock.remove(module, contribution);
  }

  isAvailable(contribution: CID): boolean {
    return this.#stock.has(contribution);
  }

  /** Whether nobody is expected to bring its outer gradient any more. */
  isLost(contribution: CID): boolean {
    return this.#shortfall.isLost(contribution);
  }

  /** The fold that was decided has ended, in success or failure; the module may be decided on again. */
  foldEnded(module: string): void {
    this.#closing.ended(module);
  }

  lineage(module: string): Lineage {
    return this.#view.lineage(module);
  }

  /** Whether every module of the path has a contribution of the slot. */
  completed(slot: Slot): boolean {
    return this.#view.completed(slot, this.#shortfall.discount);
  }

  /** The next slot of every lane that is not over. */
  openSlots(): readonly Slot[] {
    return this.#view.openSlots(this.#shortfall.discount);
  }

  // ---------------------------------------------------------------- decisions

  /** Decides what to do now. Call it on every message and at least once a second. */
  decide(now: number): Decision[] {
    this.#view.prune(now);
    const owned = this.owned(now);
    this.#shortfall.note(owned, now);
    this.#now = now;
    const nothingToDo = this.#claims.own === undefined && this.openSlots().length === 0;
    this.#shortfall.noteLeft(nothingToDo, this.#init.lineages.values(), now);
    const folds = this.#closing.decide(owned, () => this.workers(now), now);
    const lease = (): Decision | undefined => this.#claims.decide(now, this.#shortfall.discount);
    return [...folds, lease()].filter((decision) => decision !== undefined);
  }

  /**
   * Every slot of the plan is complete and every contribution folded that can be had; nothing is under way here,
   * nor is anything that other messages refer to and that has not arrived.
   */
  done(): boolean {
    return (
      this.#claims.own === undefined &&
      this.openSlots().length === 0 &&
      [...this.#init.lineages.values()].every((lineage) =>
        lineage.pending().every(({ cid }) => this.isLost(cid) || this.#shortfall.isLeft(cid, this.#now)),
      ) &&
      !this.#view.awaits(MISSING_GRACES * this.#init.config.swarm.graceSeconds * 1000, this.#now)
    );
  }

  /** What this peer waits for, in words with names and ages; undefined when it works or nothing is left. */
  waitingFor(now: number, fetches: readonly FetchProgress[] = []): string | undefined {
    if (this.done()) return undefined;
    const situation = {
      own: this.#claims.own,
      listensUntil: this.listensUntil,
      discount: this.#shortfall.discount,
      fetches,
      owners: (module: string) => this.owners(module, now),
      ownerDelayMs: this.#closing.ownerDelayMs,
      closableSince: (module: string) => this.#closing.closableSince(module),
    };
    const wait = this.#waits.find(situation, now);
    return wait === undefined ? undefined : describeWait(wait, now);
  }
}
