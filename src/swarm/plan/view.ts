/**
 * What a peer knows of its swarm: who is there, who holds which slot, which slots are open. It follows from what was
 * heard and the clock alone and holds nothing of the peer's own, so that peers of a simulation that hear the same at
 * the same time can share one.
 */
import type { CID } from "multiformats/cid";
import type { RunConfig } from "../../objects/config.ts";
import type { Lineage } from "../../outer/lineage.ts";
import type { KnownContribution } from "../../outer/types.ts";
import type { Topology } from "../../run/types.ts";
import { apply, difference } from "../members/difference.ts";
import { createLeases, type Slot } from "./leases.ts";
import { createMembership, type Member, peerOf } from "../members/membership.ts";
import type { Heartbeat } from "../messages.ts";
import { ownerKey, rendezvous, RendezvousKey } from "../members/rendezvous.ts";
import { believedPeriod, GREETERS, leaseTime, periodOf } from "../members/interval.ts";

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

/** Contributions, by CID, that do not count for one peer, for reasons that only it has; never changed once in use. */
export type Discount = ReadonlyMap<string, KnownContribution>;

/** A contribution to fold whose signer is gone. */
interface Orphan {
  contribution: KnownContribution;
  /** When its signer was first found to be gone. */
  since: number;
}

/** Live workers, sorted, and as a set. */
interface Workers {
  /** What they follow from. */
  of: readonly Member[];
  roleChanges: number;
  peers: readonly string[];
  set: Set<string>;
}

interface Duties {
  /** The workers for whom it is, sorted. */
  of: readonly string[];
  owners: Map<string, string[]>;
  owned: Map<string, string[]>;
}

/** Since when a round of a path and replica is known to be next, and since when it is free to be claimed. */
interface Times {
  waiting: Since | undefined;
  free: Since | undefined;
}

interface Since {
  round: number;
  since: number;
}

/** What is known of a path and replica. */
interface Track {
  path: number;
  replica: number;
  key: RendezvousKey;
  lineages: Lineage[];
  /** Lowest round that is not folded in all modules; only moves forward. */
  nextRound: number;
  /** The next slot, if it has rounds left. */
  open: Slot | undefined;
  /** Who contributed the latest round. */
  trained: { round: number; signer: string } | undefined;
  times: Times;
  /** The same for peers that discount something and so count another round as the next. */
  discountedTimes: Times;
}

interface ModuleState {
  name: string;
  /** By which its owners are found. */
  key: RendezvousKey;
  lineage: Lineage;
  /** Of the paths through it. */
  tracks: Track[];
  /** Of the lineage, when its tracks were last looked at. */
  revision: number;
}

/** Offers of idle peers with all that they follow from. */
interface Offers {
  open: readonly Slot[];
  /** Undefined when no slot was to be had, whoever works. */
  workers: readonly string[] | undefined;
  leases: number;
  /** While nothing of these changes they hold from the one time until the other. */
  from: number;
  until: number;
  byPeer: ReadonlyMap<string, readonly Offer[]>;
}

/** Sums of times are rounded, so what holds until one is looked at again a little before. */
const ROUNDING_MS = 1;
const itself = (peer: string): string => peer;
const NO_OFFERS: readonly Offer[] = [];

export class View {
  readonly membership;
  readonly leases;
  readonly #init: ViewInit;
  readonly #runId: string;
  readonly #heartbeatMs: number;
  #workers: Workers | undefined;
  #greeters: { newcomer: string; of: readonly Member[]; peers: readonly string[] } | undefined;
  #duties: Duties | undefined;
  #ownDuties: (Duties & { self: string }) | undefined;
  readonly #modules: ModuleState[];
  /** Of every path, and there of every replica. */
  readonly #tracks: Track[];
  /** Those whose next slot must be looked at again. */
  readonly #changed: Set<Track>;
  #openSlots: readonly Slot[] | undefined;
  readonly #discounted = new WeakMap<Discount, { of: readonly Slot[]; slots: readonly Slot[] }>();
  #idle: { of: readonly string[]; leases: number; peers: readonly string[] } | undefined;
  #offers: Offers | undefined;
  /** Of peers that are not among the live workers or discount something, each for itself alone. */
  readonly #ownOffers = new Map<string, Offers>();
  /** By CID. */
  #orphans = new Map<string, Orphan>();
  #orphansAt = Number.NEGATIVE_INFINITY;
  /** What the orphans follow from. */
  #orphansOf: readonly (readonly unknown[])[] = [];
  #orphaned:
    | { of: ReadonlyMap<string, Orphan>; from: number; until: number; contributions: Discount }
    | undefined;
  /** Since when something that others refer to is missing, by CID. */
  #missing = new Map<string, number>();
  #pruned: number | undefined;

  constructor(init: ViewInit) {
    this.#init = init;
    this.#runId = init.run.toString();
    const { heartbeatSeconds, leaseSeconds } = init.config.swarm;
    this.#heartbeatMs = heartbeatSeconds * 1000;
    this.membership = createMembership(this.#heartbeatMs);
    this.leases = createLeases(leaseSeconds * 1000);
    const { paths, replicas, modules } = init.topology;
    this.#tracks = Array.from({ length: paths * replicas }, (_, index) => ({
      path: Math.floor(index / replicas),
      replica: index % replicas,
      key: new RendezvousKey("slot", this.#runId, Math.floor(index / replicas), index % replicas),
      lineages: init.topology.modulesOfPath(Math.floor(index / replicas)).map((name) => this.lineage(name)),
      nextRound: 0,
      open: undefined,
      trained: undefined,
      times: { waiting: undefined, free: undefined },
      discountedTimes: { waiting: undefined, free: undefined },
    }));
    this.#changed = new Set(this.#tracks);
    this.#modules = modules.map(({ name, paths: through }) => ({
      name,
      key: ownerKey(this.#runId, name),
      lineage: this.lineage(name),
      tracks: this.#tracks.filter(({ path }) => through.includes(path)),
      revision: -1,
    }));
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
    return true;
  }

  /** A contribution became known, if only parked: its signer holds the optimizer state of that path. */
  contributed({ round, path, replica, signer }: KnownContribution): void {
    const track = this.#track(path, replica);
    if ((track.trained?.round ?? -1) < round) track.trained = { round, signer };
    this.#touch(track);
  }

  /** A peer does not count any more, nor do its leases; what it contributed does. */
  forget(peer: string, now: number): void {
    this.membership.forget(peer);
    this.leases.heard(peer, [], now);
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

  #liveWorkers(now: number): Workers {
    const of = this.membership.live(now);
    const before = this.#workers;
    if (before?.of === of) return before;
    const { roleChanges } = this.membership;
    const isWorker = ({ heartbeat }: Member): boolean => heartbeat.role === "worker";
    if (before?.roleChanges !== roleChanges) {
      const peers = of.filter(isWorker).map(peerOf);
      this.#workers = { of, roleChanges, peers, set: new Set(peers) };
      return this.#workers;
    }
    const members = difference(before.of, of, peerOf);
    const [gone, come] = [members.gone, members.come].map((list) => list.filter(isWorker).map(peerOf));
    const { set } = before;
    for (const peer of gone!) set.delete(peer);
    for (const peer of come!) set.add(peer);
    const peers = apply(before.peers, { gone: gone!, come: come! }, itself);
    this.#workers = { of, roleChanges, peers, set };
    return this.#workers;
  }

  /** Who owns which module, of the live workers and the given one. */
  duties(now: number, self?: string): Duties {
    const { peers, set } = this.#liveWorkers(now);
    if (this.#duties?.of !== peers) this.#duties = this.#reassign(peers);
    if (self === undefined || set.has(self)) return this.#duties;
    if (this.#ownDuties?.of !== peers || this.#ownDuties.self !== self) {
      const { owners } = this.#duties;
      this.#ownDuties = { ...this.#assign(peers, (module) => [self, ...owners.get(module)!]), self };
    }
    return this.#ownDuties;
  }

  #reassign(peers: readonly string[]): Duties {
    const before = this.#duties;
    if (before === undefined) return this.#assign(peers, () => peers);
    const { gone, come } = difference(before.of, peers, itself);
    const departed = new Set(gone);
    const duties = this.#assign(peers, (module) => {
      const owners = before.owners.get(module)!;
      // An order over all is the same one without those who went; only an owner's place must be found again.
      return owners.some((owner) => departed.has(owner)) ? peers : [...owners, ...come];
    });
    // Most who come and go own nothing; then all keep the very lists that they had.
    const { owners, owned } = before;
    const stays = [...duties.owners].every(([module, list]) => isSame(list, owners.get(module)!));
    return stays ? { of: peers, owners, owned } : duties;
  }

  #assign(of: readonly string[], candidates: (module: string) => readonly string[]): Duties {
    const duties: Duties = { of, owners: new Map(), owned: new Map() };
    for (const { name, key } of this.#modules) {
      const owners = rendezvous(key, candidates(name), this.#init.config.swarm.owners);
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
    const { lineages } = this.#track(slot.path, slot.replica);
    return lineages.every((lineage) => hasContribution(lineage, slot, discount));
  }

  /** Whether a module has a contribution of the slot; what was found to be wrong does not count. */
  hasContribution(module: string, slot: Slot, discount?: Discount): boolean {
    return hasContribution(this.lineage(module), slot, discount);
  }

  #track(path: number, replica: number): Track {
    return this.#tracks[path * this.#init.topology.replicas + replica]!;
  }

  #touch(track: Track): void {
    this.#changed.add(track);
    this.#openSlots = undefined;
  }

  /** The next slot of every path and replica that has rounds left; the same array until that changes. */
  openSlots(discount?: Discount): readonly Slot[] {
    for (const module of this.#modules) {
      const { revision } = module.lineage;
      if (module.revision === revision) continue;
      module.revision = revision;
      for (const track of module.tracks) this.#touch(track);
    }
    if (this.#openSlots === undefined) {
      for (const track of this.#changed) track.open = this.#nextSlot(track);
      this.#changed.clear();
      this.#openSlots = this.#tracks.flatMap(({ open }) => open ?? []);
    }
    return discount === undefined ? this.#openSlots : this.#discountedSlots(discount, this.#openSlots);
  }

  #discountedSlots(discount: Discount, all: readonly Slot[]): readonly Slot[] {
    const known = this.#discounted.get(discount);
    if (known?.of === all) return known.slots;
    const touched = new Set([...discount.values()].map(({ path, replica }) => this.#track(path, replica)));
    const slots = this.#tracks.flatMap((track) => {
      const slot = touched.has(track) ? this.#nextSlot(track, discount) : track.open;
      return (slot?.round === track.open?.round ? track.open : slot) ?? [];
    });
    this.#discounted.set(discount, { of: all, slots });
    return slots;
  }

  #nextSlot(track: Track, discount?: Discount): Slot | undefined {
    const { rounds } = this.#init.config.training;
    const { path, replica, lineages } = track;
    const isFolded = (slot: Slot): boolean =>
      lineages.every((lineage) => lineage.contributionsTo(slot).some(({ cid }) => lineage.folded(cid)));
    while (track.nextRound < rounds && isFolded({ round: track.nextRound, path, replica })) track.nextRound++;
    let round = track.nextRound;
    while (round < rounds && this.completed({ round, path, replica }, discount)) round++;
    return round < rounds ? { round, path, replica } : undefined;
  }

  /**
   * A slot may start when all its modules are at the generation of the round; after twice the grace time it
   * starts with what there is. (Once the grace time is over a generation closes without the missing, so a
   * round that waits as long again starts from a current head in all but broken cases.)
   */
  #readyAt({ lineages }: Track, times: Times, { round }: Slot, now: number): number {
    times.waiting = sinceRound(times.waiting, round, now);
    const { since } = times.waiting;
    const patience = 2 * this.#init.config.swarm.graceSeconds * 1000;
    if (now - since >= patience || lineages.every((lineage) => lineage.head().generation >= round))
      return now;
    return Math.max(since + patience, now + ROUNDING_MS);
  }

  /**
   * What an idle peer may claim now. All idle workers rank themselves alike for each slot (who trained the path last
   * comes first, since it holds optimizer state and shard, then rendezvous order); the n-th waits n times two settle
   * times for those before it. So most slots are claimed once, and one whose favourite is silent is still taken.
   */
  offers(self: string, now: number, discount?: Discount): readonly Offer[] {
    this.leases.prune(now);
    const open = this.openSlots(discount);
    const workers = this.workers(now);
    if (discount === undefined && this.works(self, now)) {
      if (!this.#holds(this.#offers, open, workers, now))
        this.#offers = this.#offer(open, workers, undefined, now);
      return this.#offers.byPeer.get(self) ?? NO_OFFERS;
    }
    let own = this.#ownOffers.get(self);
    if (!this.#holds(own, open, workers, now)) {
      own = this.#offer(open, workers, self, now);
      this.#ownOffers.set(self, own);
    }
    return own.byPeer.get(self) ?? NO_OFFERS;
  }

  #holds(
    offers: Offers | undefined,
    open: readonly Slot[],
    workers: readonly string[],
    now: number,
  ): offers is Offers {
    return (
      offers !== undefined &&
      offers.open === open &&
      (offers.workers === undefined || offers.workers === workers) &&
      offers.leases === this.leases.revision &&
      now >= offers.from &&
      now < offers.until
    );
  }

  #idlePeers(now: number): readonly string[] {
    const of = this.workers(now);
    const leases = this.leases.revision;
    if (this.#idle?.of !== of || this.#idle.leases !== leases) {
      const peers = of.filter((peer) => !this.leases.holds(peer, now));
      this.#idle = { of, leases, peers };
    }
    return this.#idle.peers;
  }

  /**
   * Offers to all idle workers and, whatever was heard of it, the given one. Most slots are another's, not ready or for
   * who trained the path last, so the others that are idle are found out only when one of them is asked.
   */
  #offer(open: readonly Slot[], workers: readonly string[], self: string | undefined, now: number): Offers {
    const isIdle = (peer: string): boolean =>
      peer === self || (this.works(peer, now) && !this.leases.holds(peer, now));
    let list: readonly string[] | undefined;
    const idle = (): readonly string[] => {
      if (list !== undefined) return list;
      const others = this.#idlePeers(now);
      list = self === undefined ? others : [self, ...others.filter((peer) => peer !== self)];
      return list;
    };
    const byPeer = new Map<string, Offer[]>();
    const offer = (peer: string, slot: Slot, rank: number): void => {
      byPeer.set(peer, [...(byPeer.get(peer) ?? []), { slot, rank }]);
    };
    const patience = 2 * this.#init.config.swarm.settleSeconds * 1000;
    let until = Number.POSITIVE_INFINITY;
    let isAny = false;
    for (const slot of open) {
      const track = this.#track(slot.path, slot.replica);
      const times = slot === track.open ? track.times : track.discountedTimes;
      const readyAt = this.#readyAt(track, times, slot, now);
      if (readyAt > now || this.leases.binds(slot, now)) {
        if (readyAt > now) until = Math.min(until, readyAt);
        times.free = undefined;
        continue;
      }
      isAny = true;
      times.free = sinceRound(times.free, slot.round, now);
      const { since } = times.free;
      const turns = patience === 0 ? Number.POSITIVE_INFINITY : Math.floor((now - since) / patience);
      const turn = turns === 0 ? 0 : Math.min(turns, idle().length);
      if (turn === turns) until = Math.min(until, since + (turn + 1) * patience);
      const previous = track.trained?.signer;
      const preferred = previous !== undefined && isIdle(previous) ? 1 : 0;
      if (preferred === 1) offer(previous!, slot, 0);
      const next = turn + 1 - preferred;
      const order = next === 0 ? [] : rendezvous(track.key, idle(), next);
      for (const [rank, peer] of order.entries()) if (peer !== previous) offer(peer, slot, rank + preferred);
    }
    const given = { open, workers: isAny ? workers : undefined, leases: this.leases.revision };
    return { ...given, from: now, until: until - ROUNDING_MS, byPeer };
  }

  // ---------------------------------------------------------------- what may be lost

  /** Contributions to fold whose signers have been gone for `patience` ms; the same map until that changes. */
  orphaned(patience: number, now: number): Discount {
    const orphans = this.#findOrphans(now);
    const known = this.#orphaned;
    if (known?.of === orphans && now >= known.from && now < known.until) return known.contributions;
    const contributions = new Map<string, KnownContribution>();
    let until = Number.POSITIVE_INFINITY;
    for (const [cid, { contribution, since }] of orphans)
      if (now - since >= patience) contributions.set(cid, contribution);
      else until = Math.min(until, since + patience - ROUNDING_MS);
    const same =
      known?.contributions.size === contributions.size &&
      [...contributions.keys()].every((cid) => known.contributions.has(cid));
    this.#orphaned = {
      of: orphans,
      from: now,
      until,
      contributions: same ? known.contributions : contributions,
    };
    return this.#orphaned.contributions;
  }

  #findOrphans(now: number): ReadonlyMap<string, Orphan> {
    if (now - this.#orphansAt < this.#heartbeatMs && now >= this.#orphansAt) return this.#orphans;
    this.#orphansAt = now;
    const usable = this.#modules.map(({ lineage }) => lineage.usable());
    const of = [this.membership.live(now), ...usable];
    if (isSame(of, this.#orphansOf)) return this.#orphans;
    this.#orphansOf = of;
    const orphans = new Map<string, Orphan>();
    for (const contributions of usable)
      for (const contribution of contributions) {
        if (this.membership.member(contribution.signer)?.isLive(now) === true) continue;
        const cid = contribution.cid.toString();
        orphans.set(cid, { contribution, since: this.#orphans.get(cid)?.since ?? now });
      }
    this.#orphans = orphans;
    return orphans;
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
}

/** The rendezvous key of who answers a newcomer. */
export function greeting(newcomer: string): string[] {
  return ["greet", newcomer];
}

/** When a round was first noted: as known, or now. */
function sinceRound(known: Since | undefined, round: number, now: number): Since {
  return known?.round === round ? known : { round, since: now };
}

function hasContribution(lineage: Lineage, slot: Slot, discount: Discount | undefined): boolean {
  return lineage.contributionsTo(slot).some(({ cid }) => {
    if (lineage.folded(cid)) return true;
    return lineage.refusal(cid) === undefined && discount?.has(cid.toString()) !== true;
  });
}

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
