import type { CID } from "multiformats/cid";
import type { RunConfig } from "../../objects/config.ts";
import type { Lineage } from "../../outer/lineage.ts";
import type { KnownContribution, KnownVersion } from "../../outer/types.ts";
import type { Plan, Slot } from "../../plan/types.ts";
import type { Topology } from "../../run/types.ts";
import type { View } from "./view.ts";

export type Decision =
  /** Announce a lease, then let conflicts settle. */
  | { type: "claim"; slot: Slot }
  /** The claim settled: train. */
  | { type: "start"; slot: Slot }
  | { type: "abandon"; slot: Slot; reason: string }
  /** Publish the next version of a module from these contributions. */
  | { type: "fold"; module: string; parent: KnownVersion; contributions: readonly KnownContribution[] };

export interface CoordinatorInit {
  self: string;
  role: "worker" | "observer";
  run: CID;
  config: RunConfig;
  topology: Topology;
  plan: Plan;
  /** One lineage per module, by module name. */
  lineages: ReadonlyMap<string, Lineage>;
  /** When this peer began to listen (ms). */
  now: number;
  /** What this peer knows of the others; peers of a simulation may share it. */
  view?: View;
}

/** What each part of the coordinator looks at. */
export interface Surroundings extends Omit<CoordinatorInit, "view"> {
  view: View;
}
