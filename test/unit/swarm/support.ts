/** A swarm of coordinators under a virtual clock: the production decisions, with time and messages made here. */
import { CID } from "multiformats/cid";
import { runConfigSchema, type RunConfig } from "../../../src/objects/config.ts";
import { dagCborCid, rawBlock } from "../../../src/objects/object.ts";
import { Version } from "../../../src/objects/version.ts";
import { Lineage } from "../../../src/outer/lineage.ts";
import { compareContributions } from "../../../src/outer/order.ts";
import type { KnownContribution, KnownVersion } from "../../../src/outer/types.ts";
import { createRandom, type Random } from "../../../src/random.ts";
import { createTopology } from "../../../src/run/topology.ts";
import type { Topology } from "../../../src/run/types.ts";
import { parseRunFile } from "../../../src/run/run-file.ts";
import { Coordinator, type Slot } from "../../../src/swarm/coordinator.ts";
import type { Heartbeat } from "../../../src/swarm/messages.ts";

export const RUN = dagCborCid(Uint8Array.of(0xa0));
const EMPTY = new Uint8Array(32);

export function heartbeat(changes: Partial<Heartbeat>): Heartbeat {
  return {
    run: RUN,
    sequence: 1,
    role: "worker",
    leaving: false,
    leases: [],
    heads: EMPTY,
    tokensPerSecond: 0,
    memoryBytes: 0,
    bytesIn: 0,
    bytesOut: 0,
    device: "test",
    ...changes,
  };
}

export function config(
  changes: {
    grid?: number[];
    rounds?: number;
    replicas?: number;
    swarm?: object;
    maxStaleness?: number;
  } = {},
): RunConfig {
  const { grid = [2, 2], rounds = 3, replicas = 1, swarm = {}, maxStaleness = 4 } = changes;
  const base = parseRunFile(JSON.stringify({ name: "sim", corpus: "x", grid, replicas }), "sim.yaml").config;
  return runConfigSchema.parse({
    ...base,
    training: { ...base.training, rounds },
    outer: { ...base.outer, maxStaleness },
    swarm: {
      ...base.swarm,
      heartbeatSeconds: 1,
      leaseSeconds: 10,
      settleSeconds: 0.5,
      graceSeconds: 30,
      ...swarm,
    },
  });
}

interface Node {
  name: string;
  coordinator: Coordinator;
  lineages: Map<string, Lineage>;
  alive: boolean;
  sequence: number;
  /** The slot in training and when it will be done. */
  training: { slot: Slot; start: number; end: number; bases: Map<string, CID> } | undefined;
}

export interface SimulationOptions {
  peers: number;
  seed: number;
  config: RunConfig;
  /** Time of a round, ms: between these. */
  roundMs?: [number, number];
  /** Time of a message, ms: between these. */
  latencyMs?: [number, number];
}

/** What happened, in order. */
export type SimulationEvent =
  | { type: "start" | "complete" | "abandon"; at: number; peer: string; slot: Slot }
  | { type: "fold"; at: number; peer: string; module: string; generation: number; contributions: number };

const TICK_MS = 100;

export class Simulation {
  readonly nodes: Node[];
  readonly events: SimulationEvent[] = [];
  readonly topology: Topology;
  now = 0;
  readonly #options: Required<SimulationOptions>;
  readonly #random: Random;
  readonly #genesis = new Map<string, KnownVersion>();
  #queue: { at: number; order: number; run: () => void }[] = [];
  #order = 0;
  /** Peers that messages do not reach or leave. */
  readonly cut = new Set<string>();
  /** How many times longer than others a peer takes for a round; infinite for one that hangs but still talks. */
  readonly slowness = new Map<string, number>();
  /** Whose outer gradients nobody can fetch, and whose are of the wrong content: their records spread all the same. */
  readonly withheld = new Set<string>();
  readonly poisoned = new Set<string>();
  /** Whose own outer gradients are lost as soon as they are on its disk. */
  readonly damaged = new Set<string>();

  constructor(options: SimulationOptions) {
    this.#options = { roundMs: [3000, 6000], latencyMs: [5, 60], ...options };
    this.#random = createRandom("simulation", options.seed);
    this.topology = createTopology(options.config);
    for (const { name } of this.topology.modules) {
      const value: Version = {
        module: name,
        generation: 0,
        parent: null,
        contributions: [],
        parameters: dagCborCid(rawBlock(Buffer.from(name)).bytes),
        momentum: null,
        tokens: 0,
      };
      this.#genesis.set(name, { ...value, cid: Version.encode(value).cid });
    }
    this.nodes = Array.from({ length: options.peers }, (_, index) => this.#node(`peer-${index}`));
    for (const node of this.nodes) this.#at(this.#between(0, 1500), () => this.#live(node));
  }

  node(name: string): Node {
    return this.nodes.find((node) => node.name === name)!;
  }

  /** Runs until all reachable peers are done or the time is over; true when done. */
  run(untilMs: number, each: () => void = () => {}): boolean {
    const done = (): boolean =>
      this.nodes
        .filter((node) => node.alive && !this.cut.has(node.name) && !this.poisoned.has(node.name))
        .every((node) => node.coordinator.done());
    return this.#advance(untilMs, () => {
      each();
      return done();
    });
  }

  /** Runs for a time, whatever happens: what is under way arrives. */
  settle(milliseconds: number): void {
    this.#advance(this.now + milliseconds, () => false);
  }

  #advance(untilMs: number, stop: () => boolean): boolean {
    for (;;) {
      const next = this.#queue.reduce((a, b) =>
        b.at < a.at || (b.at === a.at && b.order < a.order) ? b : a,
      );
      if (next.at >= untilMs) break;
      this.#queue.splice(this.#queue.indexOf(next), 1);
      this.now = next.at;
      next.run();
      if (stop()) return true;
    }
    this.now = untilMs;
    return false;
  }

  kill(node: Node): void {
    node.alive = false;
    node.training = undefined;
  }

  #node(name: string): Node {
    const { config: runConfig } = this.#options;
    const lineages = new Map(
      [...this.#genesis].map(([module, genesis]) => [
        module,
        new Lineage({ module, genesis, topology: this.topology, config: runConfig, runId: RUN }),
      ]),
    );
    const init = {
      self: name,
      role: "worker",
      run: RUN,
      config: runConfig,
      topology: this.topology,
      lineages,
    } as const;
    const coordinator = new Coordinator({ ...init, now: 0 });
    return { name, coordinator, lineages, alive: true, sequence: 0, training: undefined };
  }

  #live(node: Node): void {
    const beat = (): void => {
      if (!node.alive) return;
      this.#beat(node);
      this.#at(this.now + 1000, beat);
    };
    const tick = (): void => {
      if (!node.alive) return;
      this.#tick(node);
      this.#at(this.now + TICK_MS, tick);
    };
    const reconcile = (): void => {
      if (!node.alive) return;
      const other = this.nodes[this.#random.integer(this.nodes.length)]!;
      if (other !== node && other.alive && this.#reaches(node, other)) this.#reconcile(node, other);
      this.#at(this.now + 2000, reconcile);
    };
    beat();
    tick();
    reconcile();
  }

  #tick(node: Node): void {
    const { coordinator, training } = node;
    if (training !== undefined) {
      const { innerSteps } = this.#options.config.training;
      const share = Math.min(1, (this.now - training.start) / (training.end - training.start));
      coordinator.progress(Math.floor(share * innerSteps) / innerSteps);
      if (this.now >= training.end) this.#complete(node);
    }
    for (const decision of coordinator.decide(this.now)) {
      const { type } = decision;
      if (type === "claim") this.#beat(node);
      else if (type === "start") {
        this.events.push({ type, at: this.now, peer: node.name, slot: decision.slot });
        const bases = new Map(
          this.topology
            .modulesOfPath(decision.slot.path)
            .map((module) => [module, node.lineages.get(module)!.head().cid]),
        );
        const length = this.#between(...this.#options.roundMs) * (this.slowness.get(node.name) ?? 1);
        const end = this.now + length;
        node.training = { slot: decision.slot, start: this.now, end, bases };
      } else if (type === "abandon") {
        this.events.push({ type, at: this.now, peer: node.name, slot: decision.slot });
        node.training = undefined;
        this.#beat(node);
      } else {
        this.#at(this.now + this.#between(20, 200), () => {
          if (node.alive) this.#fold(node, decision.module, decision.parent, decision.contributions);
          coordinator.foldEnded(decision.module);
        });
      }
    }
  }

  #complete(node: Node): void {
    const { slot, bases } = node.training!;
    node.training = undefined;
    this.events.push({ type: "complete", at: this.now, peer: node.name, slot });
    const { innerSteps, batchSize } = this.#options.config.training;
    for (const [module, base] of bases) {
      const identity = JSON.stringify([node.name, module, slot, base.toString()]);
      const contribution: KnownContribution = {
        run: RUN,
        module,
        ...slot,
        base,
        delta: rawBlock(Buffer.from(identity)).cid,
        tokens: innerSteps * batchSize * this.#options.config.model.sequenceLength,
        steps: innerSteps,
        loss: 1,
        cid: dagCborCid(Buffer.from(identity)),
        signer: node.name,
      };
      this.#spread(node, (other) => this.#contribution(other, contribution));
    }
    node.coordinator.released();
    this.#beat(node);
  }

  #contribution(node: Node, contribution: KnownContribution): void {
    const lineage = node.lineages.get(contribution.module)!;
    lineage.addContribution(contribution);
    node.coordinator.contributed(contribution);
    const own = contribution.signer === node.name;
    if (own ? !this.damaged.has(node.name) : !this.withheld.has(contribution.signer))
      node.coordinator.available(contribution.cid);
    if (contribution.signer !== node.name && this.poisoned.has(contribution.signer))
      lineage.refuse(contribution.cid, "its tensors are not of the expected shapes");
  }

  #version(node: Node, version: KnownVersion): void {
    const lineage = node.lineages.get(version.module)!;
    lineage.addVersion(version);
    // Folding again fails on a contribution of the wrong content.
    if (version.contributions.some((cid) => lineage.refusal(cid) !== undefined))
      lineage.refuse(version.cid, "it folds what is refused");
  }

  #fold(node: Node, module: string, parent: KnownVersion, contributions: KnownContribution[]): void {
    const order = contributions.toSorted(compareContributions);
    const cids = order.map(({ cid }) => cid);
    // Stands for the tensors: like them, a function of the parent and the set.
    const state = rawBlock(Buffer.from([parent.cid, ...cids].join("+"))).bytes;
    const value: Version = {
      module,
      generation: parent.generation + 1,
      parent: parent.cid,
      contributions: cids,
      parameters: dagCborCid(state),
      momentum: null,
      tokens: parent.tokens + order.reduce((sum, { tokens }) => sum + tokens, 0),
    };
    const version: KnownVersion = { ...value, cid: Version.encode(value).cid };
    this.events.push({
      type: "fold",
      at: this.now,
      peer: node.name,
      module,
      generation: version.generation,
      contributions: cids.length,
    });
    this.#spread(node, (other) => this.#version(other, version));
  }

  #beat(node: Node): void {
    if (!node.alive) return;
    const message = heartbeat({ sequence: ++node.sequence, leases: node.coordinator.notices() });
    this.#spread(
      node,
      (other) => void (other !== node && other.coordinator.heard(node.name, message, this.now)),
    );
  }

  /** What gossip does: delivers to every live peer after some time, at once to the sender itself. */
  #spread(from: Node, deliver: (to: Node) => void): void {
    for (const to of this.nodes) {
      if (to === from) deliver(to);
      else if (this.#reaches(from, to))
        this.#at(this.now + this.#between(...this.#options.latencyMs), () => {
          if (to.alive && this.#reaches(from, to)) deliver(to);
        });
    }
  }

  /** What anti-entropy does: the asker gets all that it lacks. */
  #reconcile(asker: Node, donor: Node): void {
    for (const [module, lineage] of asker.lineages) {
      const source = donor.lineages.get(module)!;
      for (const cid of source.since(lineage.have()).order) {
        const contribution = source.contribution(cid);
        const version = source.version(cid);
        if (contribution !== undefined) this.#contribution(asker, contribution);
        else if (version !== undefined) this.#version(asker, version);
      }
    }
  }

  #reaches(a: Node, b: Node): boolean {
    return this.cut.has(a.name) === this.cut.has(b.name);
  }

  #between(low: number, high: number): number {
    return low + this.#random.uniform() * (high - low);
  }

  #at(at: number, run: () => void): void {
    this.#queue.push({ at, order: this.#order++, run });
  }
}
