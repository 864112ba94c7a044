import type { CID } from "multiformats/cid";
import type { Codec, TensorDescription, TensorPack } from "../objects/tensor-pack.ts";
import type { FetchOptions } from "../store/types.ts";
import type { Slot } from "./leases.ts";

/** Tensors as IPFS objects (`src/store/pack.ts`). */
export interface Packs {
  write(input: { tensors: TensorDescription[]; codec: Codec; bytes: Uint8Array }): Promise<CID>;
  read(
    cid: CID,
    options: FetchOptions & { maxBytes: number },
  ): Promise<{ pack: TensorPack; bytes: Uint8Array }>;
  /** Whether the pack and all its chunks are on this disk. */
  complete(cid: CID): Promise<boolean>;
  /** All blocks of a pack that is on this disk, the root first; for retention. */
  blocks(cid: CID): Promise<CID[]>;
}

/** One training step of a slot, as the daemon, the dashboard and the tests see it. */
export interface SlotStep extends Slot {
  /** The step within the round, from 1, and how many there are. */
  step: number;
  steps: number;
  loss: number;
  learningRate: number;
  gradientNorm: number;
  tokensPerSecond: number;
  /** Estimated time until the round is done. */
  millisecondsLeft: number;
}

/** What a round of a path produced. */
export interface TrainedRound {
  steps: number;
  /** Mean training loss, nats per token. */
  loss: number;
  tokensPerSecond: number;
}

/** Trains one path from given weights; the swarm's only view of the learning side. */
export interface PathTrainer {
  readonly device: string;
  /** Fetches what the path needs (its shard), so that training can start at once. */
  prepare(slot: Slot, signal: AbortSignal): Promise<void>;
  /** Trains `parameters` (flat, a whole path) in place for the round of the slot. */
  train(
    slot: Slot,
    parameters: Float32Array,
    onStep: (step: SlotStep) => void,
    signal: AbortSignal,
  ): Promise<TrainedRound>;
  close(): Promise<void>;
}

/** Facts that people and programs follow; printed as NDJSON by `join --json`. */
export type SwarmEvent =
  | { type: "member"; peer: string; state: "joined" | "left"; live: number }
  | ({ type: "lease"; state: "claimed" | "started" | "abandoned" | "completed"; reason?: string } & Slot)
  | ({ type: "step" } & SlotStep)
  | ({ type: "contribution"; module: string; from: string; cid: string } & Slot)
  | {
      type: "version";
      module: string;
      generation: number;
      cid: string;
      contributions: number;
      /** folded: made here; verified: folded again here with the same CID; fetched: downloaded. */
      how: "folded" | "verified" | "fetched";
      milliseconds: number;
    }
  | { type: "head"; module: string; generation: number; cid: string }
  | { type: "rejected"; module: string; cid: string; reason: string }
  /** Peers that this one did not know have trained on from other versions: two halves of the run have met. */
  | { type: "split"; peers: string[]; heads: number }
  | { type: "waiting"; reason: string }
  | { type: "done" };
