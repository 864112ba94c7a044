/**
 * What the holder of a path keeps from one round to the next, on its own disk: AdamW moments (DiLoCo section 6.1:
 * syncing them gains nothing) and what the codec has not sent yet. They are blocks like all others, so damage is
 * noticed, and they count once they are retained, which `writeRound` has done together with the round's contributions.
 */
import type { CID } from "multiformats/cid";
import { InvalidObjectError, messageOf, UnavailableError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { PathStateObject } from "../../objects/path-state.ts";
import { decodeTensors, encodeTensors } from "../../outer/codec.ts";
import type { RetentionChange, Store } from "../../store/types.ts";
import { concatenate } from "../modules/module-states.ts";
import type { Moments, Packs } from "../types.ts";
import { isSameSlot } from "../../plan/slots.ts";
import type { Plan, Slot } from "../../plan/types.ts";

export interface PathState {
  moments: Moments;
  /** Error feedback: outer gradient that the codec has dropped so far. Flat, a whole path; absent with an exact codec. */
  residual?: Float32Array;
}

export interface PathStates {
  /**
   * What the round before the slot's left, of `elements` parameters; undefined when that was trained elsewhere, or
   * when it is damaged, which is logged: nobody else has it.
   */
  load(slot: Slot, elements: number): Promise<PathState | undefined>;
  /** Writes the blocks of what the slot leaves. Resolves to the changes that make it take the place of what was before. */
  write(slot: Slot, state: PathState): Promise<RetentionChange[]>;
}

export interface PathStatesInit {
  store: Store;
  packs: Packs;
  plan: Plan;
  logger: Logger;
}

const KIND = "path-state";

function pinOf({ path, replica, round }: Slot): string {
  return [KIND, path, replica, round].join(":");
}

/** Whether what a pin keeps is of no use once the slot is done: of the same lane, or of a round that all are past. */
function isOutdated(pin: string, slot: Slot, plan: Plan): boolean {
  const [kind, ...numbers] = pin.split(":");
  if (kind !== KIND) return false;
  const [path, replica, round] = numbers.map(Number) as [number, number, number];
  const kept: Slot = { work: "train", path, replica, round };
  if (isSameSlot(kept, slot)) return false;
  if (plan.laneOf(kept) === plan.laneOf(slot)) return true;
  const before = plan.before(slot);
  return before !== undefined && plan.order(kept) < plan.order(before);
}

export function createPathStates({ store, packs, plan, logger }: PathStatesInit): PathStates {
  async function read(root: CID, elements: number): Promise<PathState> {
    const bytes = await store.local(root);
    if (bytes === undefined) throw new UnavailableError(`The block ${root.toString()} is gone.`);
    const { step, tensors } = PathStateObject.decode(bytes);
    // Nobody else has it, so nobody is asked.
    const signal = AbortSignal.abort();
    const { pack, bytes: encoded } = await packs.read(tensors, {
      signal,
      maxBytes: 3 * elements * Float32Array.BYTES_PER_ELEMENT,
    });
    const values = decodeTensors(encoded, "f32", pack.elements);
    const part = (index: number): Float32Array => values.slice(index * elements, (index + 1) * elements);
    if (pack.elements !== pack.tensors.length * elements)
      throw new InvalidObjectError(`It is of ${pack.elements} numbers, which does not fit the path.`);
    return {
      moments: { step, firstMoment: part(0), secondMoment: part(1) },
      ...(pack.tensors.length > 2 ? { residual: part(2) } : {}),
    };
  }

  return {
    async load(slot, elements) {
      const before = plan.before(slot);
      const [root] = before === undefined ? [] : await store.retained(pinOf(before));
      if (root === undefined) return undefined;
      try {
        return await read(root, elements);
      } catch (error) {
        if (!(error instanceof InvalidObjectError || error instanceof UnavailableError)) throw error;
        logger.warn(
          `the optimizer state of path ${slot.path} on this disk is damaged; its learning rate warms up anew: ${messageOf(error)}`,
        );
        return undefined;
      }
    },
    async write(slot, { moments, residual }) {
      const parts: [string, Float32Array][] = [
        ["firstMoment", moments.firstMoment],
        ["secondMoment", moments.secondMoment],
        ...(residual === undefined ? [] : [["residual", residual] satisfies [string, Float32Array]]),
      ];
      const tensors = await packs.write({
        tensors: parts.map(([name, { length }]) => ({ name, shape: [length] })),
        codec: "f32",
        bytes: encodeTensors(concatenate(parts.map(([, values]) => values)), "f32"),
      });
      const { path, replica, round } = slot;
      const root = PathStateObject.encode({ path, replica, round, step: moments.step, tensors });
      await store.put([root]);
      const outdated = (await store.pins()).filter((pin) => isOutdated(pin, slot, plan));
      return [
        [pinOf(slot), [root.cid, ...(await packs.blocks(tensors))]],
        ...outdated.map((pin): RetentionChange => [pin, []]),
      ];
    },
  };
}
