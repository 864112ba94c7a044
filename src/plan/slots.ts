import type { Slot } from "./types.ts";

/** Names a slot among all of a run. */
export function slotKey({ round, path, replica }: Slot): string {
  return `${round}/${path}/${replica}`;
}

export function isSameSlot(a: Slot, b: Slot): boolean {
  return a.round === b.round && a.path === b.path && a.replica === b.replica;
}

/** The order in which what was done for slots is folded. */
export function compareSlots(a: Slot, b: Slot): number {
  return a.round - b.round || a.path - b.path || a.replica - b.replica;
}
