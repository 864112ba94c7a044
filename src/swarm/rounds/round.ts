/** What a round of a path leaves behind: a contribution per module, and what its holder needs for the next round. */
import type { PrivateKey } from "@libp2p/interface";
import type { CID } from "multiformats/cid";
import { Contribution } from "../../objects/contribution.ts";
import type { Block } from "../../objects/object.ts";
import type { TensorDescription } from "../../objects/tensor-pack.ts";
import { encodeTensors, encodingResidual } from "../../outer/codec.ts";
import type { KnownVersion } from "../../outer/types.ts";
import type { RetentionChange } from "../../store/types.ts";
import { elementsOf } from "../modules/module-states.ts";
import type { Slot } from "../../plan/types.ts";
import type { PathState, PathStates } from "./path-states.ts";
import type { Packs, TrainedRound } from "../types.ts";

export interface RoundInit {
  run: CID;
  privateKey: PrivateKey;
  codec: string;
  packs: Packs;
  states: PathStates;
  /** Tensors of a module in network order. */
  tensors(module: string): TensorDescription[];
}

export interface FinishedRound extends TrainedRound {
  slot: Slot;
  /** The heads of the path's modules that it started from, in network order. */
  bases: KnownVersion[];
  /** The version of the router that it started from. */
  router: KnownVersion;
  /** θ before and after, flat, a whole path. */
  start: Float32Array;
  end: Float32Array;
  /** Training tokens it consumed. */
  tokens: number;
  /** What the round before it left. */
  previous: PathState | undefined;
}

export interface WrittenRound {
  /** Signed contributions, in network order. */
  contributions: Block[];
  /** To be retained together with the contributions: either both count after a crash, or neither does. */
  retain: RetentionChange[];
}

/** Name under which the blocks of an outer gradient are retained. */
export function deltaPin(module: string, round: number, contribution: CID): string {
  return `delta:${module}:${round}:${contribution.toString()}`;
}

/**
 * Writes outer gradients θ_start − θ_end and the path's state as blocks. What a lossy codec drops of a gradient is
 * added to the next round's (error feedback, Seide et al. 2014), so that small changes add up instead of vanishing.
 * Throws InvalidObjectError when the training diverged.
 */
export async function writeRound(init: RoundInit, round: FinishedRound): Promise<WrittenRound> {
  const { codec, packs } = init;
  const { slot, start, end, previous } = round;
  const contributions: Block[] = [];
  const retain: RetentionChange[] = [];
  const residual = codec === "f32" ? undefined : new Float32Array(start.length);
  const bases = [...round.bases, round.router].map(({ module, cid: version }) => ({ module, version }));
  let offset = 0;
  for (const { module } of round.bases) {
    const tensors = init.tensors(module);
    const delta = new Float32Array(elementsOf(tensors));
    for (let i = 0; i < delta.length; i++)
      delta[i] = start[offset + i]! - end[offset + i]! + (previous?.residual?.[offset + i] ?? 0);
    const bytes = encodeTensors(delta, codec);
    residual?.set(encodingResidual(delta, bytes, codec), offset);
    offset += delta.length;
    const pack = await packs.write({ tensors, codec, bytes });
    const contribution = await Contribution.seal(
      {
        run: init.run,
        module,
        bases,
        ...slot,
        delta: pack,
        tokens: round.tokens,
        steps: round.steps,
        loss: round.loss,
      },
      init.privateKey,
    );
    contributions.push(contribution);
    retain.push([deltaPin(module, slot.round, contribution.cid), await packs.blocks(pack)]);
  }
  const state: PathState = { moments: round.moments, ...(residual === undefined ? {} : { residual }) };
  retain.push(...(await init.states.write(slot, state)));
  return { contributions, retain };
}
