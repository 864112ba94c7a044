/**
 * What a peer knows of its swarm: who is there, who holds which slot, which slots are open. It follows from what was
 * heard and the clock alone and holds nothing of the peer's own, so that peers of a simulation that hear the same at
 * the same time can share one.
 */
import type { CID } from "multiformats/cid";
import type { RunConfig } from "../objects/config.ts";
import type { Lineage } from "../outer/lineage.ts";
import type { KnownContribution } from "../outer/types.ts";
import type { Topology } from "../run/types.ts";
import { createLeases, type Slot, slotKey } from "./leases.ts";
import { createMembership, type Member } from "./membership.ts";
import type { Heartbeat } from "./messages.ts";
import { ownersOf, rendezvous } from "./ownership.ts";
import { believedPeriod, GREETERS, leaseTime, periodOf } from "./pace.ts";

export interface ViewInit {
  run: CID;
  config: RunConfig;
  topology: Topology;
  /** One lineage per module, by module name. */
  lineages: ReadonlyMap<string, Lineage>;
}

/** A slot that a peer may claim now, and how many are asked before it. */
export interface Offer {
  slot: Slot;
  rank: number;
}

/** Whether a contribution to a module does not count, for reasons that only some peers have. */
export type Discount = (module: string, contribution: CID) => boolean;

/** A contribution to fold whose signer is gone. */
export interface Orphan {
  contribution: KnownContribution;
  /** When its signer was first found to be gone. */
  since: number;
}

interface Duties {
  /** The workers for whom it is. */
  of: ReadonlySet<string>;
  owners: Map<string, string[]>;
  owned: Map<string, string[]>;
}

interface Since {
  round: number;
  since: number;
}

export class View {
  readonly membership;
  readonly leases;
  readonly #init: ViewInit;
  readonly #runId: string;
  readonly #heartbeatMs: number;
  #workers: { of: readonly Member[]; peers: readonly string[]; set: ReadonlySet<string> } | undefined;
  #greeters: { newcomer: string; of: readonly Member[]; peers: readonly string[] } | undefined;
  #duties: Duties | undefined;
  #ownDuties: (Duties & { self: string }) | undefined;
  /** Who contributed the latest round, by path and replica. */
  readonly #trained = new Map<string, { round: number; signer: string }>();
  /** What is known of every slot, by module and slot. */
  readonly #contributions = new Map<string, Map<string, CID>>();
  /** Lowest round that is not folded in all modules, per path and replica; a cache that only moves forward. */
  readonly #nextRound = new Map<string, number>();
  /** The next slot of every path and replica; those in `#changed` must be looked at again. */
  readonly #open = new Map<string, Slot>();
  readonly #changed = new Set<string>();
  readonly #revisions = new Map<string, number>();
  #openSlots: Slot[] | undefined;
  /** Since when a path's next slot is known to be next, and free to be claimed; by path and replica. */
  readonly #waiting = new Map<string, Since>();
  readonly #free = new Map<string, Since>();
  /** Contributions by signer, while any branch may fold them. */
  readonly #bySigner = new Map<string, KnownContribution[]>();
  /** By CID. */
  #orphans = new Map<string, Orphan>();
  #orphansAt = Number.NEGATIVE_INFINITY;
  /** Since when something that others refer to is missing, by CID. */
  #missing = new Map<string, number>();
  #pruned: number | undefined;
  /** Grows with everything that is heard. */
  #heard = 0;
  #offers:
    | { at: number; heard: number; members: readonly Member[]; offers: Map<string, Offer[]> }
    | undefined;

  constructor(init: ViewInit) {
    this.#init = init;
    this.#runId = init.run.toString();
    const { heartbeatSeconds, leaseSeconds } = init.config.swarm;
    this.#heartbeatMs = heartbeatSeconds * 1000;
    this.membership = createMembership(this.#heartbeatMs);
    this.leases = createLeases(leaseSeconds * 1000);
    for (let path = 0; path < init.topology.paths; path++) this.#touch(path);
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
    this.leases.heard(peer, heartbeat.leaving ? [] : heartbeat.leases, now, leaseMs);
    this.#heard++;
    return true;
  }

  /** A contribution became known, if only parked: its signer holds the optimizer state of that path. */
  contributed(contribution: KnownContribution): void {
    const { cid, module, round, path, replica, signer } = contribution;
    const slot = `${module} ${slotKey(contribution)}`;
    this.#contributions.set(slot, (this.#contributions.get(slot) ?? new Map()).set(cid.toString(), cid));
    const key = `${path}/${replica}`;
    if ((this.#trained.get(key)?.round ?? -1) < round) this.#trained.set(key, { round, signer });
    const foldable = (this.#bySigner.get(signer) ?? []).filter((known) => !this.#isTooOld(known));
    this.#bySigner.set(signer, [...foldable, contribution]);
    this.#changed.add(key);
    this.#openSlots = undefined;
    this.#heard++;
  }

  /** A peer does not count any more, nor do its leases; what it contributed does. */
  forget(peer: string, now: number): void {
    this.membership.forget(peer);
    this.leases.heard(peer, [], now);
    this.#heard++;
  }

  /** Forgets who is long gone. */
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
    return this.#liveWorkers(now).peers;
  }

  /** Whether a peer is among the live workers. */
  works(peer: string, now: number): boolean {
    return this.#liveWorkers(now).set.has(peer);
  }

  #liveWorkers(now: number): { peers: readonly string[]; set: ReadonlySet<string> } {
    const live = this.membership.live(now);
    if (this.#workers?.of === live) return this.#workers;
    const peers = live.filter(({ heartbeat }) => heartbeat.role === "worker").map(({ peer }) => peer);
    this.#workers = { of: live, peers, set: new Set(peers) };
    return this.#workers;
  }

  /** Who owns which module, of the live workers and the given one. */
  duties(now: number, self?: string): Duties {
    const { peers, set } = this.#liveWorkers(now);
    if (this.#duties?.of !== set) {
      const before = this.#duties;
      const come = before === undefined ? peers : peers.filter((peer) => !before.of.has(peer));
      this.#duties = this.#assign(set, (module) => {
        const owners = before?.owners.get(module) ?? [];
        // An order over all is the same one without those who went; only an owner's place must be found again.
        return owners.every((owner) => set.has(owner)) && before !== undefined ? [...owners, ...come] : peers;
      });
    }
    if (self === undefined || set.has(self)) return this.#duties;
    if (this.#ownDuties?.of !== set || this.#ownDuties.self !== self) {
      const { owners } = this.#duties;
      this.#ownDuties = { ...this.#assign(set, (module) => [self, ...owners.get(module)!]), self };
    }
    return this.#ownDuties;
  }

  #assign(of: ReadonlySet<string>, candidates: (module: string) => readonly string[]): Duties {
    const { topology, config } = this.#init;
    const duties: Duties = { of, owners: new Map(), owned: new Map() };
    for (const { name } of topology.modules) {
      const owners = ownersOf(this.#runId, name, candidates(name), config.swarm.owners);
      duties.owners.set(name, owners);
      for (const owner of owners) duties.owned.set(owner, [...(duties.owned.get(owner) ?? []), name]);
    }
    return duties;
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

  /** Whether every module of the path has a contribution of the slot. */
  completed(slot: Slot, discount?: Discount): boolean {
    return this.#init.topology
      .modulesOfPath(slot.path)
      .every((module) => this.hasContribution(module, slot, discount));
  }

  /** Whether a module has a contribution of the slot; what was found to be wrong does not count. */
  hasContribution(module: string, slot: Slot, discount?: Discount): boolean {
    const lineage = this.lineage(module);
    if (!lineage.completed(slot.round, slot.path, slot.replica)) return false;
    return this.#contributionsTo(module, slot).some((cid) => {
      if (lineage.contribution(cid) === undefined) return false;
      if (lineage.folded(cid)) return true;
      return lineage.refusal(cid) === undefined && discount?.(module, cid) !== true;
    });
  }

  #contributionsTo(module: string, slot: Slot): CID[] {
    return [...(this.#contributions.get(`${module} ${slotKey(slot)}`)?.values() ?? [])];
  }

  #isFolded(slot: Slot): boolean {
    return this.#init.topology.modulesOfPath(slot.path).every((module) => {
      const lineage = this.lineage(module);
      if (!lineage.completed(slot.round, slot.path, slot.replica)) return false;
      return this.#contributionsTo(module, slot).some((cid) => lineage.folded(cid));
    });
  }

  /** The next slot of every path and replica that has rounds left. */
  openSlots(discount?: Discount): Slot[] {
    const { topology } = this.#init;
    for (const { name, paths } of topology.modules) {
      const { revision } = this.lineage(name);
      if (this.#revisions.get(name) === revision) continue;
      this.#revisions.set(name, revision);
      for (const path of paths) this.#touch(path);
    }
    for (const key of this.#changed) {
      const [path, replica] = key.split("/").map(Number);
      const slot = this.#nextSlot(path!, replica!, undefined);
      if (slot === undefined) this.#open.delete(key);
      else this.#open.set(key, slot);
    }
    this.#changed.clear();
    this.#openSlots ??= this.#each((path, replica) => this.#open.get(`${path}/${replica}`));
    if (discount === undefined) return this.#openSlots;
    return this.#each((path, replica) => this.#nextSlot(path, replica, discount));
  }

  #each(slotOf: (path: number, replica: number) => Slot | undefined): Slot[] {
    const { paths, replicas } = this.#init.topology;
    return Array.from({ length: paths * replicas }, (_, i) =>
      slotOf(Math.floor(i / replicas), i % replicas),
    ).filter((slot) => slot !== undefined);
  }

  #touch(path: number): void {
    for (let replica = 0; replica < this.#init.topology.replicas; replica++)
      this.#changed.add(`${path}/${replica}`);
    this.#openSlots = undefined;
  }

  #nextSlot(path: number, replica: number, discount: Discount | undefined): Slot | undefined {
    const { rounds } = this.#init.config.training;
    const key = `${path}/${replica}`;
    let round = this.#nextRound.get(key) ?? 0;
    while (round < rounds && this.#isFolded({ round, path, replica })) round++;
    this.#nextRound.set(key, round);
    while (round < rounds && this.completed({ round, path, replica }, discount)) round++;
    return round < rounds ? { round, path, replica } : undefined;
  }

  /**
   * A slot may start when all its modules are at the generation of the round; after twice the grace time it
   * starts with what there is. (Once the grace time is over a generation closes without the missing, so a
   * round that waits as long again starts from a current head in all but broken cases.)
   */
  #isReady(slot: Slot, now: number): boolean {
    const waiting = sinceRound(this.#waiting, slot, now);
    if (now - waiting >= 2 * this.#init.config.swarm.graceSeconds * 1000) return true;
    return this.#init.topology
      .modulesOfPath(slot.path)
      .every((module) => this.lineage(module).head().generation >= slot.round);
  }

  /**
   * What an idle peer may claim now. All idle workers rank themselves alike for each slot (who trained the path last
   * comes first, since it holds optimizer state and shard, then rendezvous order); the n-th waits n times two settle
   * times for those before it. So most slots are claimed once, and one whose favourite is silent is still taken.
   */
  offers(self: string, now: number, discount?: Discount): readonly Offer[] {
    if (discount === undefined && this.works(self, now)) {
      const members = this.membership.live(now);
      const known = this.#offers;
      if (known?.at !== now || known.heard !== this.#heard || known.members !== members) {
        const offers = this.#offer(this.openSlots(), this.#idle(now), now);
        this.#offers = { at: now, heard: this.#heard, members, offers };
      }
      return this.#offers!.offers.get(self) ?? [];
    }
    const others = this.#idle(now).filter((peer) => peer !== self);
    return this.#offer(this.openSlots(discount), [self, ...others], now).get(self) ?? [];
  }

  #idle(now: number): string[] {
    return this.workers(now).filter((peer) => this.leases.of(peer, now).length === 0);
  }

  #offer(open: Slot[], idle: string[], now: number): Map<string, Offer[]> {
    const offers = new Map<string, Offer[]>();
    const offer = (peer: string, slot: Slot, rank: number): void => {
      offers.set(peer, [...(offers.get(peer) ?? []), { slot, rank }]);
    };
    const patience = 2 * this.#init.config.swarm.settleSeconds * 1000;
    for (const slot of open) {
      const key = `${slot.path}/${slot.replica}`;
      if (!this.#isReady(slot, now) || this.leases.on(slot, now).length > 0) {
        this.#free.delete(key);
        continue;
      }
      const waited = now - sinceRound(this.#free, slot, now);
      const turn = patience === 0 ? idle.length : Math.min(Math.floor(waited / patience), idle.length);
      const previous = this.#trained.get(key)?.signer;
      const preferred = previous !== undefined && idle.includes(previous) ? 1 : 0;
      if (preferred === 1) offer(previous!, slot, 0);
      const order = rendezvous(["slot", this.#runId, slot.path, slot.replica], idle, turn + 1 - preferred);
      for (const [rank, peer] of order.entries()) if (peer !== previous) offer(peer, slot, rank + preferred);
    }
    return offers;
  }

  // ---------------------------------------------------------------- what may be lost

  /** Contributions to fold whose signers are gone, and since when. */
  orphans(now: number): Iterable<Orphan> {
    if (now - this.#orphansAt < this.#heartbeatMs && now >= this.#orphansAt) return this.#orphans.values();
    this.#orphansAt = now;
    const live = new Set(this.membership.live(now).map(({ peer }) => peer));
    const orphans = new Map<string, Orphan>();
    for (const [signer, contributions] of this.#bySigner) {
      if (live.has(signer)) continue;
      if (contributions.every((contribution) => this.#isTooOld(contribution))) this.#bySigner.delete(signer);
      for (const contribution of contributions) {
        if (!this.#isPending(contribution)) continue;
        const cid = contribution.cid.toString();
        orphans.set(cid, { contribution, since: this.#orphans.get(cid)?.since ?? now });
      }
    }
    this.#orphans = orphans;
    return orphans.values();
  }

  /**
   * Whether something that was referred to has not arrived and has been missed for less than `patience` ms: whoever
   * refers to what does not exist holds nobody up for longer.
   */
  awaits(patience: number, now: number): boolean {
    const missing = [...this.#init.lineages.values()].flatMap((lineage) => lineage.missing().map(String));
    this.#missing = new Map(missing.map((cid) => [cid, this.#missing.get(cid) ?? now]));
    return [...this.#missing.values()].some((since) => now - since < patience);
  }

  #isTooOld({ module, base }: KnownContribution): boolean {
    const lineage = this.lineage(module);
    const version = lineage.version(base);
    if (version === undefined) return false;
    return lineage.head().generation - version.generation > this.#init.config.outer.maxStaleness;
  }

  #isPending(contribution: KnownContribution): boolean {
    const { module, cid } = contribution;
    const lineage = this.lineage(module);
    if (lineage.contribution(cid) === undefined || lineage.folded(cid)) return false;
    return lineage.refusal(cid) === undefined && !this.#isTooOld(contribution);
  }
}

/** The rendezvous key of who answers a newcomer. */
export function greeting(newcomer: string): string[] {
  return ["greet", newcomer];
}

/** When the slot's round was first noted under its path and replica; notes it now if it was not. */
function sinceRound(times: Map<string, Since>, slot: Slot, now: number): number {
  const key = `${slot.path}/${slot.replica}`;
  const known = times.get(key);
  if (known?.round === slot.round) return known.since;
  times.set(key, { round: slot.round, since: now });
  return now;
}
