import type { CID } from "multiformats/cid";
import type { Lineage } from "../../outer/lineage.ts";
import type { KnownContribution } from "../../outer/types.ts";
import type { Coordinator } from "../../swarm/plan/coordinator.ts";
import type { Slot } from "../../plan/types.ts";
import type { Site } from "./site.ts";

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
