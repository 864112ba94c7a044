import type { CID } from "multiformats/cid";
import type { RunConfig } from "../../objects/config.ts";
import type { Lineage } from "../../outer/lineage.ts";
import type { KnownContribution } from "../../outer/types.ts";
import type { Slot } from "../../plan/types.ts";
import type { Coordinator } from "../../swarm/plan/coordinator.ts";
import type { Site } from "./site.ts";

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

/** A peer: the production coordinator, and what its process would be doing. */
export interface SimulatedPeer {
  readonly name: string;
  readonly site: Site;
  readonly lineages: Map<string, Lineage>;
  coordinator: Coordinator;
  alive: boolean;
  /** Stopped, but its connections stay. */
  paused: boolean;
  /** Grows over restarts. */
  sequence: number;
  /** When it last sent a heartbeat, and within what time it promised the next. */
  spoke: { since: number; period: number };
  /** The slot in training and when it will be done. */
  training: { slot: Slot; start: number; end: number; bases: Map<string, CID> } | undefined;
  /** What it kept of the round that it trained when it ended: how much of it, and the time that took. */
  kept: { slot: Slot; bases: Map<string, CID>; share: number; milliseconds: number } | undefined;
  /** Outer gradients on its disk. */
  readonly disk: Set<string>;
  readonly fetching: Set<string>;
  /** By module, what waits to be folded, once all of it is on the disk or on its way. */
  readonly supplied: Map<string, readonly KnownContribution[]>;
}
