/**
 * A swarm under a virtual clock: the production coordinators, lineages, membership and leases, with time, network,
 * training and faults made here. Tensors are not computed; what is folded is what would have been. The same seed gives
 * the same run.
 */
import type { RunConfig } from "../../objects/config.ts";
import { ROUTER } from "../../objects/manifest.ts";
import { Lineage } from "../../outer/lineage.ts";
import type { KnownVersion } from "../../outer/types.ts";
import { createPlan } from "../../plan/plan.ts";
import type { Plan } from "../../plan/types.ts";
import { createRandom, type Random } from "../../random.ts";
import { createTopology } from "../../run/topology.ts";
import type { Topology } from "../../run/types.ts";
import { Coordinator } from "../../swarm/plan/coordinator.ts";
import { Effects } from "./effects.ts";
import { Messages } from "./messages.ts";
import { SimulatedNetwork } from "./network.ts";
import { OuterGradients } from "./outer-gradients.ts";
import { genesisVersion } from "./records.ts";
import { RUN } from "./run.ts";
import { Site } from "./site.ts";
import { Training } from "./training.ts";
import type { SimulatedPeer, SimulationEvent, SimulationOptions } from "./types.ts";
import { VirtualTime } from "./virtual-time.ts";

/** Time within which peers start at first, in all at least and for each, ms. */
const START_MS = 1500;
const START_MS_PER_PEER = 30;

export class Simulation {
  readonly peers: SimulatedPeer[] = [];
  readonly sites: Site[];
  readonly events: SimulationEvent[] = [];
  readonly topology: Topology;
  readonly plan: Plan;
  readonly network: SimulatedNetwork;
  readonly training: Training;
  /** The only stream of chance, also for the planner of faults, so that a seed is a run. */
  readonly random: Random;
  /** Peers that messages do not reach or leave, but among each other. */
  readonly cut = new Set<string>();
  /** How many times longer than others a peer takes for a round; infinite for one that hangs but still talks. */
  readonly slowness = new Map<string, number>();
  /** Peers whose outer gradients nobody can fetch, and peers whose have the wrong content; their records spread all the same. */
  readonly withheld = new Set<string>();
  readonly poisoned = new Set<string>();
  /** Peers whose own outer gradients are lost as soon as they are on their disks. */
  readonly damaged = new Set<string>();
  /** From a version's announcement until the last site had it, by CID. */
  readonly spreads = new Map<string, { from: number; until: number }>();
  readonly #options: Required<SimulationOptions>;
  readonly #time: VirtualTime;
  readonly #messages: Messages;
  readonly #effects: Effects;
  readonly #genesis: ReadonlyMap<string, KnownVersion>;
  #alive = 0;
  /** Time that peers have been alive until `#aliveSince`, summed, ms. */
  #aliveMs = 0;
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
    const { config, moduleBytes, roundMs } = this.#options;
    this.random = createRandom("simulation", options.seed);
    this.network = new SimulatedNetwork(this.#options, this.random);
    this.topology = createTopology(config);
    this.#genesis = new Map(this.topology.moduleNames.map((module) => [module, genesisVersion(module)]));
    const genesis = [...this.#genesis].map(([module, { cid }]) => ({ module, version: cid }));
    // Nothing is folded here, so shards weigh nothing.
    const shards = Array.from({ length: this.topology.paths }, () => ({ tokens: 0 }));
    this.plan = createPlan({ config, genesis, shards, topology: this.topology });
    const { random, network, plan, slowness, cut, withheld } = this;
    const time = new VirtualTime(random);
    this.#time = time;
    this.training = new Training({ config, plan, time, network, random, roundMs, moduleBytes, slowness });
    this.sites = Array.from({ length: this.#options.sites }, () => this.#site());
    const messages = new Messages({ time, network, sites: this.sites, cut, alive: () => this.#alive });
    this.#messages = messages;
    const reaches: Messages["reaches"] = (one, other) => messages.reaches(one, other);
    const gradients = new OuterGradients({ time, network, bytes: moduleBytes, withheld, reaches });
    const { events, spreads, training, damaged } = this;
    const router = this.#genesis.get(ROUTER)!.cid;
    this.#effects = new Effects({
      config,
      time,
      random,
      messages,
      training,
      gradients,
      damaged,
      router,
      events,
      spreads,
    });
    for (let index = 0; index < options.peers; index++) this.add(`peer-${index}`);
  }

  /** ms since the start. */
  get now(): number {
    return this.#time.now;
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
    return this.#time.advance(untilMs, () => {
      each();
      return isDone();
    });
  }

  /** Runs for a time, whatever happens: what is under way arrives. */
  settle(milliseconds: number): void {
    this.#time.advance(this.now + milliseconds, () => false);
  }

  /** Plans something, a fault for instance, in so many ms. */
  after(milliseconds: number, run: () => void): void {
    this.#time.after(milliseconds, run);
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
    this.#messages.beat(peer);
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
    this.#messages.beat(peer, true);
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

  /** Time that peers have been alive until now, summed, ms. */
  peerMs(): number {
    this.#count(0);
    return this.#aliveMs;
  }

  #end(peer: SimulatedPeer, keepMs: number): void {
    this.training.interrupt(peer, keepMs);
    peer.alive = false;
    peer.site.changed();
    this.#count(-1);
  }

  #fault(peer: SimulatedPeer, fault: string): void {
    this.events.push({ type: "fault", at: this.now, peer: peer.name, fault, slot: peer.training?.slot });
  }

  #count(change: number): void {
    this.#aliveMs += this.#alive * (this.now - this.#aliveSince);
    this.#aliveSince = this.now;
    this.#alive += change;
  }

  #site(): Site {
    const { config } = this.#options;
    const { topology, plan } = this;
    const lineages = new Map(
      [...this.#genesis].map(([module, genesis]) => [
        module,
        new Lineage({ module, genesis, topology, config, plan, runId: RUN }),
      ]),
    );
    const site = new Site(
      { run: RUN, config, topology, plan },
      lineages,
      ({ signer }, { peers }) => this.poisoned.has(signer) && peers.every(({ name }) => name !== signer),
    );
    this.#time.every(this.#options.tickMs, () => {
      for (const peer of site.listening) this.#effects.tick(peer);
    });
    this.#time.every(config.swarm.antiEntropySeconds * 1000, () => {
      const other = this.sites[this.random.integer(this.sites.length)]!;
      if (other !== site && site.listening.length > 0)
        this.#messages.reconcile(site, other, site.listening.length);
    });
    return site;
  }

  #coordinator(name: string, site: Site): Coordinator {
    const { config } = this.#options;
    const { lineages, view } = site;
    const { topology, plan, now } = this;
    const known = { run: RUN, config, topology, plan, lineages, view };
    return new Coordinator({ self: name, role: "worker", ...known, now });
  }
}
