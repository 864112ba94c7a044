/**
 * Which slot of each lane is next to be done, by the contributions that are known. Looks again only at lanes of modules
 * whose lineage has changed.
 */
import type { CID } from "multiformats/cid";
import type { Lineage } from "../../outer/lineage.ts";
import type { KnownContribution } from "../../outer/types.ts";
import { isSameSlot } from "../../plan/slots.ts";
import type { Lane, Plan, Slot } from "../../plan/types.ts";

/** Contributions, by CID, that do not count for one peer, for reasons that only it has; never changed once in use. */
export type Discount = ReadonlyMap<string, KnownContribution>;

/** What is known of a lane. */
export interface Track {
  readonly lane: Lane;
  readonly lineages: readonly Lineage[];
  /** First slot that is not folded in all modules, until the lane is over; moves forward while heads do. */
  unfolded: Slot | undefined;
  /** The next slot to be done, until the lane is over. */
  open: Slot | undefined;
  /** The contribution to the last slot. */
  last: KnownContribution | undefined;
}

interface ModuleState {
  lineage: Lineage;
  /** That contribute to it. */
  tracks: Track[];
  /** Of the lineage, when its tracks were last looked at. */
  revision: number;
  /** Of the lineage, then. */
  head: CID;
}

export class OpenSlots {
  readonly #plan: Plan;
  readonly #modules: ModuleState[];
  /** One for each lane, by its index. */
  readonly #tracks: Track[];
  /** Those whose next slot must be looked at again. */
  readonly #changed: Set<Track>;
  #slots: readonly Slot[] | undefined;
  readonly #discounted = new WeakMap<Discount, { of: readonly Slot[]; slots: readonly Slot[] }>();

  constructor(plan: Plan, lineages: ReadonlyMap<string, Lineage>) {
    this.#plan = plan;
    this.#tracks = plan.lanes.map((lane) => ({
      lane,
      lineages: lane.modules.map((name) => lineages.get(name)!),
      unfolded: plan.first(lane),
      open: undefined,
      last: undefined,
    }));
    this.#changed = new Set(this.#tracks);
    this.#modules = [...lineages].map(([name, lineage]) => ({
      lineage,
      tracks: plan.lanesOf(name).map(({ index }) => this.#tracks[index]!),
      revision: -1,
      head: lineage.head().cid,
    }));
  }

  track(slot: Slot): Track {
    return this.#tracks[this.#plan.laneOf(slot).index]!;
  }

  /** A contribution became known, if only as an orphan: its signer holds the optimizer state of that lane. */
  contributed(contribution: KnownContribution): void {
    const track = this.track(contribution);
    if (track.last === undefined || this.#plan.order(track.last) < this.#plan.order(contribution))
      track.last = contribution;
    this.#touch(track);
  }

  /** Whether every module of the lane has a contribution to the slot. */
  completed(slot: Slot, discount?: Discount): boolean {
    return this.track(slot).lineages.every((lineage) => hasContribution(lineage, slot, discount));
  }

  /** The next slot of every lane that is not over; the same array until that changes. */
  slots(discount?: Discount): readonly Slot[] {
    for (const module of this.#modules) {
      const { revision } = module.lineage;
      if (module.revision === revision) continue;
      module.revision = revision;
      this.#follow(module);
      for (const track of module.tracks) this.#touch(track);
    }
    if (this.#slots === undefined) {
      for (const track of this.#changed) track.open = this.#next(track);
      this.#changed.clear();
      this.#slots = this.#tracks.flatMap(({ open }) => open ?? []);
    }
    return discount === undefined ? this.#slots : this.#without(discount, this.#slots);
  }

  /** What only versions folded that the head does not descend from any more is not folded. */
  #follow(module: ModuleState): void {
    const { cid } = module.lineage.head();
    if (!module.lineage.descends(cid, module.head))
      for (const track of module.tracks) track.unfolded = this.#plan.first(track.lane);
    module.head = cid;
  }

  #touch(track: Track): void {
    this.#changed.add(track);
    this.#slots = undefined;
  }

  #without(discount: Discount, all: readonly Slot[]): readonly Slot[] {
    const known = this.#discounted.get(discount);
    if (known?.of === all) return known.slots;
    const touched = new Set([...discount.values()].map((contribution) => this.track(contribution)));
    const slots = this.#tracks.flatMap((track) => {
      const { open } = track;
      const slot = touched.has(track) ? this.#next(track, discount) : open;
      return (slot !== undefined && open !== undefined && isSameSlot(slot, open) ? open : slot) ?? [];
    });
    this.#discounted.set(discount, { of: all, slots });
    return slots;
  }

  #next(track: Track, discount?: Discount): Slot | undefined {
    const plan = this.#plan;
    const { lineages } = track;
    const isFolded = (slot: Slot): boolean =>
      lineages.every((lineage) => lineage.contributionsTo(slot).some(({ cid }) => lineage.folded(cid)));
    while (track.unfolded !== undefined && isFolded(track.unfolded))
      track.unfolded = plan.after(track.unfolded);
    let slot = track.unfolded;
    while (slot !== undefined && this.completed(slot, discount)) slot = plan.after(slot);
    return slot;
  }
}

/** Whether a module has a contribution to the slot; what was found to be wrong does not count. */
export function hasContribution(lineage: Lineage, slot: Slot, discount: Discount | undefined): boolean {
  return lineage.contributionsTo(slot).some(({ cid }) => {
    if (lineage.folded(cid)) return true;
    return lineage.refusal(cid) === undefined && discount?.has(cid.toString()) !== true;
  });
}
