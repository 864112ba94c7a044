/**
 * The simulated network: when a message arrives where, whether it does, and what it costs. Gossip is an epidemic whose
 * depth and copies follow from the mesh degree; single hops are not simulated.
 */
import type { Random } from "../../random.ts";

/** Peers that a gossipsub peer keeps in its mesh, and forwards every message to (its default D). */
const MESH_DEGREE = 6;
/** What gossipsub adds to a message: signature, key, sender, number and topic. */
const ENVELOPE_BYTES = 280;
/** What a request and its answer add: protocol negotiation and framing. */
const REQUEST_BYTES = 120;

export interface NetworkOptions {
  /** Time of a hop, ms: between these. */
  latencyMs: [number, number];
  /** Share of gossip that does not reach a site; anti-entropy brings it later. */
  loss: number;
  /** Speed at which one peer sends or receives tensors; infinite when absent. */
  megabitsPerSecond: number;
}

/** Sums over all peers since the start. */
export interface Traffic {
  /** Distinct gossip messages that arrived, of heartbeats and of lineage records. */
  heartbeats: number;
  records: number;
  /** Anti-entropy messages that arrived. */
  exchanges: number;
  /** Bytes of all these that arrived, copies and envelopes included. */
  controlBytes: number;
  tensorBytes: number;
}

export class SimulatedNetwork {
  readonly traffic: Traffic = { heartbeats: 0, records: 0, exchanges: 0, controlBytes: 0, tensorBytes: 0 };
  readonly #options: NetworkOptions;
  readonly #random: Random;

  constructor(options: NetworkOptions, random: Random) {
    this.#options = options;
    this.#random = random;
  }

  /** Time of a message between two peers, ms. */
  latency(): number {
    const [low, high] = this.#options.latencyMs;
    return low + this.#random.uniform() * (high - low);
  }

  /** Time of a gossip message from a peer to another of `peers`, ms; undefined when it is lost. */
  gossip(peers: number): number | undefined {
    const hops = Math.max(1, Math.ceil(Math.log(peers) / Math.log(MESH_DEGREE)));
    const lost = this.#options.loss > 0 && this.#random.uniform() < this.#options.loss;
    return lost ? undefined : hops * this.latency();
  }

  /** Time to transfer tensors, ms. */
  transfer(bytes: number): number {
    return this.latency() + (bytes * 8) / (this.#options.megabitsPerSecond * 1000);
  }

  /** Counts a gossip message at some of all peers: each hears one copy per mesh neighbour at most, less the one it forwards to. */
  heard(kind: "heartbeats" | "records", bytes: number, receivers: number, peers: number): void {
    const copies = Math.max(1, Math.min(MESH_DEGREE, peers - 1) - 1);
    this.traffic[kind] += receivers;
    this.traffic.controlBytes += receivers * copies * (bytes + ENVELOPE_BYTES);
  }

  /** Counts questions and their answers. */
  exchanged(bytes: number, exchanges: number): void {
    this.traffic.exchanges += 2 * exchanges;
    this.traffic.controlBytes += exchanges * (bytes + 2 * REQUEST_BYTES);
  }

  fetched(bytes: number): void {
    this.traffic.tensorBytes += bytes;
  }
}
