/**
 * What a peer knows of its swarm: which peers are there, which slots they hold, which slots are open. It follows from
 * what the peer heard and the clock alone and holds nothing of the peer's own. So peers of a simulation that hear the
 * same at the same time can share one.
 */
import type { CID } from "multiformats/cid";
import type { RunConfig } from "../../objects/config.ts";
import type { Lineage } from "../../outer/lineage.ts";
import type { KnownContribution } from "../../outer/types.ts";
import type { Plan, Slot } from "../../plan/types.ts";
import type { Topology } from "../../run/types.ts";
import { believedPeriod, GREETERS, leaseTime, periodOf } from "../members/interval.ts";
import { createMembership, type Member } from "../members/membership.ts";
import { rendezvous } from "../members/rendezvous.ts";
import { type Heartbeat, knownLeases } from "../messages.ts";
import { Assignment, type Duties } from "./duties.ts";
import { createLeases } from "./leases.ts";
import { Losses } from "./losses.ts";
import { type Offer, Offers } from "./offers.ts";
import { type Discount, hasContribution, OpenSlots } from "./open-slots.ts";
import { Workers } from "./workers.ts";

export interface ViewInit {
  run: CID;
  config: RunConfig;
  topology: Topology;
  plan: Plan;
  /** One lineage per module, by module name. */
  lineages: ReadonlyMap<string, Lineage>;
}

export class View {
  readonly membership;
  readonly leases;
  readonly #init: ViewInit;
  readonly #heartbeatMs: number;
  readonly #workers: Workers;
  readonly #assignment: Assignment;
  readonly #slots: OpenSlots;
  readonly #offers: Offers;
  readonly #losses: Losses;
  #greeters: { newcomer: string; of: readonly Member[]; peers: readonly string[] } | undefined;
  #pruned: number | undefined;

  constructor(init: ViewInit) {
    this.#init = init;
    const { config, topology, plan, lineages } = init;
    const run = init.run.toString();
    const { heartbeatSeconds, leaseSeconds, owners } = config.swarm;
    this.#heartbeatMs = heartbeatSeconds * 1000;
    this.membership = createMembership(this.#heartbeatMs);
    this.leases = createLeases(leaseSeconds * 1000);
    const modules = topology.modules.map(({ name }) => name);
    const workers = new Workers(this.membership);
    this.#workers = workers;
    this.#assignment = new Assignment(run, modules, owners, workers);
    this.#slots = new OpenSlots(plan, lineages);
    this.#offers = new Offers({ run, config, plan, slots: this.#slots, leases: this.leases, workers });
    this.#losses = new Losses(lineages.values(), this.membership, this.#heartbeatMs);
  }

  // ---------------------------------------------------------------- what is heard

  /** Takes in a peer's heartbeat; false when it is a replay. */
  heard(peer: string, heartbeat: Heartbeat, now: number): boolean {
    const busy = heartbeat.leases.length > 0;
    const speakers = busy ? this.active(now) + 1 : this.membership.live(now).length + 1;
    // A peer with duties speaks as often as one with a lease, which is never less often.
    const period = believedPeriod(this.#heartbeatMs, heartbeat.periodSeconds * 1000, speakers);
    if (!this.membership.heard(peer, heartbeat, now, period)) return false;
    const leaseMs = leaseTime(this.#init.config.swarm.leaseSeconds * 1000, period);
    this.leases.heard(peer, heartbeat.leaving ? [] : knownLeases(heartbeat), now, leaseMs);
    return true;
  }

  /** A contribution became known, if only as an orphan. */
  contributed(contribution: KnownContribution): void {
    this.#slots.contributed(contribution);
  }

  /** A peer does not count any more, nor do its leases; what it contributed does. */
  forget(peer: string, now: number): void {
    this.membership.forget(peer);
    this.leases.heard(peer, [], now);
  }

  /** Forgets peers that are long gone. */
  prune(now: number): void {
    if (now === this.#pruned) return;
    this.#pruned = now;
    this.membership.prune(now);
    this.leases.prune(now);
  }

  lineage(module: string): Lineage {
    const lineage = this.#init.lineages.get(module);
    if (lineage === undefined) throw new Error(`No lineage of module ${module}.`);
    return lineage;
  }

  // ---------------------------------------------------------------- peers

  /** Live peers that train and own; the same array until that changes. */
  workers(now: number): readonly string[] {
    return this.#workers.all(now);
  }

  /** Whether a peer is among the live workers. */
  works(peer: string, now: number): boolean {
    return this.#workers.has(peer, now);
  }

  /** The owners of each module among the live workers and the given one. */
  duties(now: number, self?: string): Duties {
    return this.#assignment.among(now, self);
  }

  /** How many peers hold a lease or own a module, about. */
  active(now: number): number {
    const { topology, config } = this.#init;
    const owners = topology.modules.length * config.swarm.owners;
    return this.leases.holders + Math.min(owners, this.workers(now).length);
  }

  /** Milliseconds from one heartbeat to the next, of a peer that works or owns, or of one that stands by. */
  period(busy: boolean, now: number): number {
    return periodOf(this.#heartbeatMs, busy ? this.active(now) : this.membership.live(now).length + 1);
  }

  /** Those of the living that answer a newcomer. */
  greeters(newcomer: string, now: number): readonly string[] {
    const of = this.membership.live(now);
    if (this.#greeters?.newcomer !== newcomer || this.#greeters.of !== of) {
      const others = of.map(({ peer }) => peer).filter((peer) => peer !== newcomer);
      this.#greeters = { newcomer, of, peers: rendezvous(greeting(newcomer), others, GREETERS) };
    }
    return this.#greeters.peers;
  }

  // ---------------------------------------------------------------- slots

  /** Whether every module of the slot has a contribution to it. */
  completed(slot: Slot, discount?: Discount): boolean {
    return this.#slots.completed(slot, discount);
  }

  /** Whether a module has a contribution to the slot; what was found to be wrong does not count. */
  hasContribution(module: string, slot: Slot, discount?: Discount): boolean {
    return hasContribution(this.lineage(module), slot, discount);
  }

  /** The next slot of every lane that is not over; the same array until that changes. */
  openSlots(discount?: Discount): readonly Slot[] {
    return this.#slots.slots(discount);
  }

  /** What an idle peer may claim now. */
  offers(self: string, now: number, discount?: Discount): readonly Offer[] {
    return this.#offers.of(self, now, discount);
  }

  // ---------------------------------------------------------------- what may be lost

  /** Contributions to fold whose signers have been gone for `patience` ms; the same map until that changes. */
  orphaned(patience: number, now: number): Discount {
    return this.#losses.orphaned(patience, now);
  }

  /** Whether something that was referred to has not arrived and has been missed for less than `patience` ms. */
  awaits(patience: number, now: number): boolean {
    return this.#losses.awaits(patience, now);
  }
}

/** The rendezvous key of the peers that answer a newcomer. */
export function greeting(newcomer: string): string[] {
  return ["greet", newcomer];
}
