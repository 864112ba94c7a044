import type { Contribution } from "../objects/contribution.ts";
import type { Slot } from "../objects/slot.ts";

export type { Slot };

/** Slots that are done one after another, each from what the one before left: the rounds of a replica of a path. */
export interface Lane {
  /** Its place in the list of the plan. */
  readonly index: number;
  /** What tells it from all others in hashes. */
  readonly labels: readonly (string | number)[];
  /** Modules that its slots start from and contribute to, in network order. Which slot is next follows from these. */
  readonly modules: readonly string[];
}

/** What a plan looks at of a version. */
export interface PlannedVersion {
  readonly generation: number;
}

/**
 * What a run does: which slots there are, in what order, and what each version of a module is made of. A pure function
 * of the manifest; what depends on how far the run is takes the versions in question. Every peer has the same one, and
 * nothing else knows how the work of a run is divided.
 */
export interface Plan {
  /** All that the run ever has. */
  readonly lanes: readonly Lane[];
  /** Lanes whose slots contribute to a module. */
  lanesOf(module: string): readonly Lane[];
  /** Where a slot belongs. Throws RangeError when there is no such lane. */
  laneOf(slot: Slot): Lane;
  /** The first slot of a lane. */
  first(lane: Lane): Slot;
  /** The slot of the same lane that follows; undefined after the last. */
  after(slot: Slot): Slot | undefined;
  /** The slot of the same lane whose optimizer state this one goes on with; undefined for the first. */
  before(slot: Slot): Slot | undefined;
  /** Slots of the lane from this one on; 0 for none. */
  left(slot: Slot | undefined): number;
  /** What the run as a whole does first: slots of all lanes by this number, those with equal ones at once. */
  order(slot: Slot): number;
  /** Whether a module's head holds all that the slot should start from. */
  isReady(slot: Slot, module: string, head: PlannedVersion): boolean;
  /** The slots that the next version of a module waits for after `parent`; none once all its work is behind it. */
  expected(module: string, parent: PlannedVersion): readonly Slot[];
  /** The generation of a module after which none expects anything. */
  lastGeneration(module: string): number;
  /**
   * What a contribution weighs in a fold, by the table of shards of the router version among its bases; the replicas of
   * a path share it. Undefined when the run has no such version.
   */
  weightOf(contribution: Pick<Contribution, "path" | "bases">): number | undefined;
  /** Why no contribution of a module can be to this slot, if so: "round 9 is not below 8". */
  objection(module: string, slot: Slot): string | undefined;
}
