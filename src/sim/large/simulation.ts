/**
 * A swarm under a virtual clock: the production coordinators, lineages, membership and leases, with time, network,
 * training and faults made here. Tensors are not computed; what is folded is what would have been. The same seed gives
 * the same run.
 */
import type { CID } from "multiformats/cid";
import type { RunConfig } from "../../objects/config.ts";
import { ROUTER } from "../../objects/manifest.ts";
import { dagCborCid, rawBlock } from "../../objects/object.ts";
import { Version } from "../../objects/version.ts";
import { Lineage } from "../../outer/lineage.ts";
import { compareContributions } from "../../outer/order.ts";
import type { KnownContribution, KnownVersion } from "../../outer/types.ts";
import { createRandom, type Random } from "../../random.ts";
import { createTopology } from "../../run/topology.ts";
import type { Topology } from "../../run/types.ts";
import { Coordinator } from "../../swarm/plan/coordinator.ts";
import { Heartbeat, type LeaseNotice } from "../../swarm/messages.ts";
import { TimeQueue } from "../../swarm/members/time-queue.ts";
import { createPlan } from "../../plan/plan.ts";
import { isSameSlot } from "../../plan/slots.ts";
import type { Plan, Slot } from "../../plan/types.ts";
import { SimulatedNetwork } from "./network.ts";
import type { SimulatedPeer } from "./peer.ts";
import { heartbeat, RUN } from "./run.ts";
import { Site } from "./site.ts";

/** A signed contribution as its block holds it. */
const CONTRIBUTION_BYTES = 423;
const CID_BYTES = 41;
/** The question and the answer of peers that know the same. */
const DIGEST_BYTES = 191;
/** Time within which peers start at first, in all at least and for each, ms. */
const START_MS = 1500;
const START_MS_PER_PEER = 30;
/** How long a round takes of a peer that hangs, ms; a share of it is a number, as a share of infinity is not. */
const FOREVER_MS = Number.MAX_SAFE_INTEGER;

export interface SimulationOptions {
  peers: number;
  seed: number;
  config: RunConfig;
  /** Peers that hear the same at the same time are a site; as many as peers when absent. */
  sites?: number;
  /** Computing time of a round, ms: between these. */
  roundMs?: [number, number];
  /** Time of a hop, ms: between these. */
  latencyMs?: [number, number];
  /** Share of gossip messages that a site misses. */
  loss?: number;
  megabitsPerSecond?: number;
  /** Size of a module's parameters and of its outer gradient. */
  moduleBytes?: number;
  /** Time between two decisions of a peer when nothing happens, ms. */
  tickMs?: number;
  /** Time between two states of a round that a peer keeps, ms; with an infinite one a round begins anew after a crash. */
  keepMs?: number;
}

/** What happened, in order. */
export type SimulationEvent =
  | { type: "claim" | "start" | "complete" | "abandon"; at: number; peer: string; slot: Slot }
  | { type: "fold"; at: number; peer: string; module: string; generation: number; contributions: number }
  | { type: "fault"; at: number; peer: string; fault: string; slot: Slot | undefined };

export class Simulation {
  readonly peers: SimulatedPeer[] = [];
  readonly sites: Site[];
  readonly events: SimulationEvent[] = [];
  readonly topology: Topology;
  readonly plan: Plan;
  readonly network: SimulatedNetwork;
  /** For whoever plans faults; one stream, so that a seed is a run. */
  readonly random: Random;
  now = 0;
  /** Peers that messages do not reach or leave, but among each other. */
  readonly cut = new Set<string>();
  /** How many times longer than others a peer takes for a round; infinite for one that hangs but still talks. */
  readonly slowness = new Map<string, number>();
  /** Whose outer gradients nobody can fetch, and whose are of the wrong content: their records spread all the same. */
  readonly withheld = new Set<string>();
  readonly poisoned = new Set<string>();
  /** Whose own outer gradients are lost as soon as they are on its disk. */
  readonly damaged = new Set<string>();
  /** Time that peers have been alive, summed, ms; and computing time that brought no contribution. */
  aliveMs = 0;
  wastedMs = 0;
  trainedMs = 0;
  /** From a version's announcement until the last site had it, by CID. */
  readonly spreads = new Map<string, { from: number; until: number }>();
  readonly #options: Required<SimulationOptions>;
  readonly #genesis = new Map<string, KnownVersion>();
  readonly #queue = new TimeQueue<() => void>();
  readonly #holders = new Map<string, Set<SimulatedPeer>>();
  readonly #heartbeatBytes: [number, number];
  #alive = 0;
  #aliveSince = 0;

  constructor(options: SimulationOptions) {
    this.#options = {
      sites: options.peers,
      roundMs: [3000, 6000],
      latencyMs: [5, 60],
      loss: 0,
      megabitsPerSecond: Number.POSITIVE_INFINITY,
      moduleBytes: 0,
      tickMs: 100,
      keepMs: 60_000,
      ...options,
    };
    this.random = createRandom("simulation", options.seed);
    this.network = new SimulatedNetwork(this.#options, this.random);
    this.topology = createTopology(options.config);
    const lease: LeaseNotice = { work: "train", round: 0, path: 0, replica: 0, progress: 0.5 };
    this.#heartbeatBytes = [[], [lease]].map(
      (leases) => Heartbeat.encode(heartbeat({ leases })).bytes.byteLength,
    ) as [number, number];
    for (const name of this.topology.moduleNames) {
      const value: Version = {
        module: name,
        generation: 0,
        parent: null,
        contributions: [],
        state: { parameters: dagCborCid(Buffer.from(name)) },
        tokens: 0,
      };
      this.#genesis.set(name, { ...value, cid: Version.encode(value).cid });
    }
    const genesis = [...this.#genesis].map(([module, { cid }]) => ({ module, version: cid }));
    // Nothing is folded here, so shards weigh nothing.
    const shards = Array.from({ length: this.topology.paths }, () => ({ tokens: 0 }));
    this.plan = createPlan({ config: options.config, genesis, shards, topology: this.topology });
    this.sites = Array.from({ length: this.#options.sites }, (_, index) => this.#site(index));
    for (let index = 0; index < options.peers; index++) this.add(`peer-${index}`);
  }

  get config(): RunConfig {
    return this.#options.config;
  }

  get alive(): number {
    return this.#alive;
  }

  peer(name: string): SimulatedPeer {
    const peer = this.peers.find((candidate) => candidate.name === name);
    if (peer === undefined) throw new Error(`No peer ${name} in this simulation.`);
    return peer;
  }

  /** Runs until all reachable peers are done or the time is over; true when done. */
  run(untilMs: number, each: () => void = () => {}): boolean {
    const isDone = (): boolean => {
      const honest = this.peers.filter(
        ({ name, alive }) => alive && !this.cut.has(name) && !this.poisoned.has(name),
      );
      return honest.length > 0 && honest.every(({ coordinator }) => coordinator.done());
    };
    return this.#advance(untilMs, () => {
      each();
      return isDone();
    });
  }

  /** Runs for a time, whatever happens: what is under way arrives. */
  settle(milliseconds: number): void {
    this.#advance(this.now + milliseconds, () => false);
  }

  #advance(untilMs: number, stop: () => boolean): boolean {
    while (this.#queue.next < untilMs) {
      const event = this.#queue.take()!;
      this.now = event.at;
      event.item();
      if (stop()) return true;
    }
    this.now = untilMs;
    return false;
  }

  /** Plans something, a fault for instance, in so many ms. */
  after(milliseconds: number, run: () => void): void {
    this.#queue.plan(this.now + milliseconds, run);
  }

  // ---------------------------------------------------------------- coming and going

  /** A new peer, which knows the genesis only. */
  add(name: string): SimulatedPeer {
    const site = this.sites[this.peers.length % this.sites.length]!;
    const peer: SimulatedPeer = {
      name,
      site,
      lineages: site.lineages,
      coordinator: this.#coordinator(name, site),
      alive: false,
      paused: false,
      sequence: 0,
      spoke: { since: 0, period: 0 },
      training: undefined,
      kept: undefined,
      disk: new Set(),
      fetching: new Set(),
      supplied: new Map(),
    };
    this.peers.push(peer);
    site.peers.push(peer);
    if (this.now > 0) this.start(peer);
    else {
      const span = Math.max(START_MS, START_MS_PER_PEER * this.#options.peers);
      this.after(this.random.uniform() * span, () => this.start(peer));
    }
    return peer;
  }

  /** Starts a peer, or starts it again with what is on its disk. */
  start(peer: SimulatedPeer): void {
    if (peer.alive) return;
    const { site } = peer;
    if (site.listening.length === 0) site.restart();
    this.#count(1);
    peer.alive = true;
    peer.paused = false;
    site.changed();
    peer.fetching.clear();
    peer.supplied.clear();
    peer.coordinator = this.#coordinator(peer.name, site);
    if (peer.kept !== undefined) peer.coordinator.kept(peer.kept.slot, peer.kept.share);
    for (const [module, lineage] of site.lineages)
      for (const { cid } of lineage.pending())
        if (peer.disk.has(cid.toString())) peer.coordinator.available(module, cid);
    this.#beat(peer);
  }

  /** Ends a peer without a word; its disk remains. */
  kill(peer: SimulatedPeer): void {
    if (!peer.alive) return;
    this.#fault(peer, "kill");
    this.#end(peer, this.#options.keepMs);
  }

  /** Ends a peer in an orderly way. */
  leave(peer: SimulatedPeer): void {
    if (!peer.alive) return;
    this.#fault(peer, "leave");
    peer.coordinator.released();
    this.#beat(peer, true);
    this.#end(peer, Number.isFinite(this.#options.keepMs) ? 1 : Number.POSITIVE_INFINITY);
  }

  /** Stops a peer for a time, as SIGSTOP does. */
  pause(peer: SimulatedPeer, milliseconds: number): void {
    if (!peer.alive || peer.paused) return;
    this.#fault(peer, "pause");
    peer.paused = true;
    peer.site.changed();
    this.after(milliseconds, () => {
      peer.paused = false;
      peer.site.changed();
      if (peer.training !== undefined) peer.training.end += milliseconds;
    });
  }

  /** Parts a peer from all others for a time. */
  isolate(peer: SimulatedPeer, milliseconds: number): void {
    if (!peer.alive || this.cut.size > 0) return;
    this.#fault(peer, "partition");
    this.cut.add(peer.name);
    this.after(milliseconds, () => this.cut.delete(peer.name));
  }

  /** The round that it trains is kept to the last multiple of `keepMs` since it began. */
  #end(peer: SimulatedPeer, keepMs: number): void {
    const { training } = peer;
    if (training !== undefined) {
      const { slot, bases, start, end } = training;
      const done = this.now - start;
      const keeps = Number.isFinite(keepMs) ? Math.floor(done / keepMs) * keepMs : 0;
      peer.kept = keeps > 0 ? { slot, bases, share: keeps / (end - start), milliseconds: keeps } : undefined;
      this.wastedMs += done - keeps;
    }
    peer.training = undefined;
    peer.alive = false;
    peer.site.changed();
    this.#count(-1);
  }

  #fault(peer: SimulatedPeer, fault: string): void {
    this.events.push({ type: "fault", at: this.now, peer: peer.name, fault, slot: peer.training?.slot });
  }

  #count(change: number): void {
    this.aliveMs += this.#alive * (this.now - this.#aliveSince);
    this.#aliveSince = this.now;
    this.#alive += change;
  }

  /** Time that peers have been alive until now, summed, ms. */
  peerMs(): number {
    this.#count(0);
    return this.aliveMs;
  }

  #site(index: number): Site {
    const { config } = this.#options;
    const { topology, plan } = this;
    const lineages = new Map(
      [...this.#genesis].map(([module, genesis]) => [
        module,
        new Lineage({ module, genesis, topology, config, plan, runId: RUN }),
      ]),
    );
    const site = new Site(
      index,
      { run: RUN, config, topology, plan },
      lineages,
      ({ signer }, { peers }) => this.poisoned.has(signer) && peers.every(({ name }) => name !== signer),
    );
    this.#every(this.#options.tickMs, () => {
      for (const peer of site.listening) this.#tick(peer);
    });
    this.#every(config.swarm.antiEntropySeconds * 1000, () => {
      const other = this.sites[this.random.integer(this.sites.length)]!;
      if (other !== site && site.listening.length > 0) this.#reconcile(site, other, site.listening.length);
    });
    return site;
  }

  #every(milliseconds: number, run: () => void): void {
    const again = (): void => {
      run();
      this.after(milliseconds, again);
    };
    this.after(this.random.uniform() * milliseconds, again);
  }

  #coordinator(name: string, site: Site): Coordinator {
    const { config } = this.#options;
    const { lineages, view } = site;
    const { topology, plan, now } = this;
    const known = { run: RUN, config, topology, plan, lineages, view };
    return new Coordinator({ self: name, role: "worker", ...known, now });
  }

  // ---------------------------------------------------------------- a peer's doing

  #tick(peer: SimulatedPeer): void {
    const { coordinator, training, spoke } = peer;
    if (training !== undefined) {
      const { innerSteps } = this.#options.config.training;
      const share = Math.min(1, (this.now - training.start) / (training.end - training.start));
      coordinator.progress(Math.floor(share * innerSteps) / innerSteps);
      if (this.now >= training.end) this.#complete(peer);
    }
    this.#prefetch(peer);
    for (const decision of coordinator.decide(this.now)) {
      const { type } = decision;
      if (type === "fold") {
        const { module, parent, contributions } = decision;
        this.after(20 + this.random.uniform() * 180, () => {
          if (peer.alive && !peer.paused) this.#fold(peer, module, parent, contributions);
          coordinator.foldEnded(module);
        });
        continue;
      }
      this.events.push({ type, at: this.now, peer: peer.name, slot: decision.slot });
      if (type === "start") this.#train(peer, decision.slot);
      if (type === "abandon" && peer.training !== undefined) {
        this.wastedMs += this.now - peer.training.start;
        peer.training = undefined;
      }
      if (type !== "start") this.#beat(peer);
    }
    const silence = this.now - spoke.since;
    if (silence >= spoke.period || silence >= coordinator.period(this.now)) this.#beat(peer);
  }

  #train(peer: SimulatedPeer, slot: Slot): void {
    const { modules } = this.plan.laneOf(slot);
    const bases = new Map(modules.map((module) => [module, peer.lineages.get(module)!.head().cid]));
    const [low, high] = this.#options.roundMs;
    const computing = (low + this.random.uniform() * (high - low)) * (this.slowness.get(peer.name) ?? 1);
    const bytes = modules.length * this.#options.moduleBytes;
    this.network.fetched(bytes);
    const length = Math.min(this.network.transfer(bytes) + computing, FOREVER_MS);
    const kept = this.#keptOf(peer, slot);
    if (kept === undefined) this.wastedMs += peer.kept?.milliseconds ?? 0;
    // As if it had begun so long ago.
    const start = this.now - (kept?.share ?? 0) * length;
    peer.training = { slot, start, end: start + length, bases: kept?.bases ?? bases };
    peer.kept = undefined;
  }

  /** What a peer can go on from, unless it is too old to be folded once it is done. */
  #keptOf({ kept, lineages }: SimulatedPeer, slot: Slot): SimulatedPeer["kept"] {
    if (kept === undefined || !isSameSlot(kept.slot, slot)) return undefined;
    const { maxStaleness } = this.#options.config.outer;
    const isFoldable = ([module, base]: [string, CID]): boolean => {
      const lineage = lineages.get(module)!;
      const version = lineage.version(base);
      return (
        version !== undefined && lineage.head().generation - version.generation < Math.max(1, maxStaleness)
      );
    };
    return [...kept.bases].every(isFoldable) ? kept : undefined;
  }

  #complete(peer: SimulatedPeer): void {
    const { slot, bases, start } = peer.training!;
    peer.training = undefined;
    this.trainedMs += this.now - start;
    this.events.push({ type: "complete", at: this.now, peer: peer.name, slot });
    const { innerSteps, batchSize } = this.#options.config.training;
    const router = this.#genesis.get(ROUTER)!.cid;
    const named = [...bases, [ROUTER, router] as const].map(([module, version]) => ({ module, version }));
    for (const [module, base] of bases) {
      const identity = JSON.stringify([peer.name, module, slot, base.toString()]);
      const contribution: KnownContribution = {
        run: RUN,
        module,
        bases: named,
        base,
        ...slot,
        delta: rawBlock(Buffer.from(identity)).cid,
        tokens: innerSteps * batchSize * this.#options.config.model.sequenceLength,
        steps: innerSteps,
        loss: 1,
        cid: dagCborCid(Buffer.from(identity)),
        signer: peer.name,
      };
      if (!this.damaged.has(peer.name)) this.#hold(peer, module, contribution.cid);
      this.#publish(peer, CONTRIBUTION_BYTES, (site) => site.contribution(contribution));
    }
    peer.coordinator.released();
    this.#beat(peer);
  }

  /** The outer gradient of a contribution is on a peer's disk. */
  #hold(peer: SimulatedPeer, module: string, contribution: CID): void {
    const key = contribution.toString();
    peer.disk.add(key);
    peer.fetching.delete(key);
    peer.coordinator.available(module, contribution);
    this.#holders.set(key, (this.#holders.get(key) ?? new Set()).add(peer));
  }

  /** Fetches the outer gradients that the peer's modules wait for. */
  #prefetch(peer: SimulatedPeer): void {
    for (const module of peer.coordinator.owned(this.now)) {
      const pending = peer.lineages.get(module)!.pending();
      if (peer.supplied.get(module) === pending) continue;
      let isSupplied = true;
      for (const { cid, signer } of pending)
        isSupplied = this.#fetch(peer, module, cid, signer) && isSupplied;
      if (isSupplied) peer.supplied.set(module, pending);
    }
  }

  /** Whether an outer gradient is here or on its way. */
  #fetch(peer: SimulatedPeer, module: string, cid: CID, signer: string): boolean {
    const key = cid.toString();
    if (peer.fetching.has(key)) return true;
    if (peer.disk.has(key)) {
      // What only a losing branch had folded is pending again, and was not when the peer started.
      peer.coordinator.available(module, cid);
      return true;
    }
    if (this.withheld.has(signer) || this.#source(peer, key) === undefined) return false;
    peer.fetching.add(key);
    this.after(this.network.transfer(this.#options.moduleBytes), () => {
      if (!peer.fetching.delete(key)) return;
      if (peer.alive && this.#source(peer, key) !== undefined) {
        this.network.fetched(this.#options.moduleBytes);
        this.#hold(peer, module, cid);
      } else peer.supplied.delete(module);
    });
    return true;
  }

  #source(peer: SimulatedPeer, key: string): SimulatedPeer | undefined {
    for (const holder of this.#holders.get(key) ?? [])
      if (holder.alive && !holder.paused && this.#reaches(holder, peer)) return holder;
    return undefined;
  }

  #fold(
    peer: SimulatedPeer,
    module: string,
    parent: KnownVersion,
    contributions: readonly KnownContribution[],
  ): void {
    const order = contributions.toSorted(compareContributions);
    const cids = order.map(({ cid }) => cid);
    // Stands for the tensors: like them, a function of the parent and the set.
    const state = rawBlock(Buffer.from([parent.cid, ...cids].join("+"))).bytes;
    const value: Version = {
      module,
      generation: parent.generation + 1,
      parent: parent.cid,
      contributions: cids,
      state: { parameters: dagCborCid(state), momentum: dagCborCid(state) },
      tokens: parent.tokens + order.reduce((sum, { tokens }) => sum + tokens, 0),
    };
    const { cid, bytes } = Version.encode(value);
    const version: KnownVersion = { ...value, cid };
    const { generation } = version;
    const event = { at: this.now, peer: peer.name, module, generation, contributions: cids.length };
    this.events.push({ type: "fold", ...event });
    const spread = this.spreads.get(cid.toString()) ?? { from: this.now, until: this.now };
    this.spreads.set(cid.toString(), spread);
    this.#publish(peer, bytes.byteLength, (site) => {
      if (site.lineages.get(module)!.version(cid) === undefined) spread.until = this.now;
      return site.version(version);
    });
  }

  // ---------------------------------------------------------------- messages

  #beat(peer: SimulatedPeer, leaving = false): void {
    if (!peer.alive || peer.paused) return;
    const period = peer.coordinator.period(this.now);
    peer.spoke = { since: this.now, period };
    const leases = peer.coordinator.notices();
    const message = heartbeat({ sequence: ++peer.sequence, periodSeconds: period / 1000, leases, leaving });
    const bytes = this.#heartbeatBytes[leases.length > 0 ? 1 : 0];
    for (const site of this.sites) {
      if (site === peer.site && site.peers.length === 1) continue;
      this.#send(peer, site, "heartbeats", bytes, () => {
        if (site.heard(peer.name, message, this.now) !== "new") return;
        for (const host of site.listening)
          if (host !== peer && host.coordinator.greets(peer.name, this.now)) this.#greet(host, peer);
      });
    }
  }

  /** What a peer does whose turn it is to answer a newcomer. */
  #greet(host: SimulatedPeer, newcomer: SimulatedPeer): void {
    this.#beat(host);
    this.#reconcile(host.site, newcomer.site, 1);
  }

  /** Gossips a record: to the own site at once, and to the others some time later. */
  #publish(from: SimulatedPeer, bytes: number, deliver: (to: Site) => boolean): void {
    for (const site of this.sites)
      if (site === from.site) deliver(site);
      else
        this.#send(from, site, "records", bytes, () => {
          // It waits for something that the sender has.
          if (deliver(site)) this.#reconcile(site, from.site, 1);
        });
  }

  #send(
    from: SimulatedPeer,
    to: Site,
    kind: "heartbeats" | "records",
    bytes: number,
    deliver: () => void,
  ): void {
    if (!this.#arrives(from, to)) return;
    const latency = this.network.gossip(this.#alive);
    if (latency === undefined) return;
    this.after(latency, () => {
      const receivers = to.listening.length;
      if (receivers === 0 || !this.#arrives(from, to)) return;
      this.network.heard(kind, bytes, receivers, this.#alive);
      deliver();
    });
  }

  /** What anti-entropy does: the asker gets all that it lacks. `askers` of its peers ask. */
  #reconcile(asker: Site, donor: Site, askers: number): void {
    if (asker === donor || asker.asking || !this.#meets(asker, donor)) return;
    const same = asker.fingerprint === donor.fingerprint;
    this.network.exchanged(DIGEST_BYTES + (same ? 0 : asker.askBytes), askers);
    if (same) return;
    asker.asking = true;
    this.after(2 * this.network.latency(), () => {
      asker.asking = false;
      if (this.#meets(asker, donor)) this.#exchange(asker, donor);
    });
  }

  #exchange(asker: Site, donor: Site): void {
    let bytes = 0;
    asker.askBytes = 0;
    for (const [module, lineage] of asker.lineages) {
      const source = donor.lineages.get(module)!;
      const have = lineage.have();
      asker.askBytes += module.length + (have.versions.length + have.contributions.length) * CID_BYTES;
      for (const cid of source.since(have).order) {
        const contribution = source.contribution(cid);
        const version = source.version(cid);
        bytes +=
          contribution === undefined ? CID_BYTES * (version?.contributions.length ?? 0) : CONTRIBUTION_BYTES;
        if (contribution !== undefined) asker.contribution(contribution);
        else if (version !== undefined) asker.version(version);
      }
    }
    this.network.exchanged(bytes, 0);
    this.network.traffic.controlBytes += bytes + asker.askBytes;
  }

  #reaches(a: SimulatedPeer, b: SimulatedPeer): boolean {
    return this.cut.has(a.name) === this.cut.has(b.name);
  }

  #arrives(from: SimulatedPeer, to: Site): boolean {
    return this.cut.size === 0 || to.peers.some((peer) => this.#reaches(from, peer));
  }

  #meets(a: Site, b: Site): boolean {
    const [[one], [other]] = [a.listening, b.listening];
    return one !== undefined && other !== undefined && this.#reaches(one, other);
  }
}
