import { type Slot, SLOT_KEYS } from "../objects/slot.ts";

/** Names a slot among all of a run. */
export function slotKey(slot: Slot): string {
  let name: string = slot.work;
  for (const key of SLOT_KEYS[slot.work]) name += `/${slot[key]}`;
  return name;
}

export function isSameSlot(a: Slot, b: Slot): boolean {
  return compareSlots(a, b) === 0;
}

/** Kinds of work in the order in which they are folded. */
const WORKS = Object.keys(SLOT_KEYS);

/** The order in which what was done for slots is folded. */
export function compareSlots(a: Slot, b: Slot): number {
  if (a.work !== b.work) return WORKS.indexOf(a.work) - WORKS.indexOf(b.work);
  for (const key of SLOT_KEYS[a.work]) if (a[key] !== b[key]) return a[key] - b[key];
  return 0;
}
