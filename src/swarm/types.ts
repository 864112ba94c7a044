import type { CID } from "multiformats/cid";
import type { Clock } from "../clock.ts";
import type { Logger } from "../log.ts";
import type { Network } from "../net/types.ts";
import type { Manifest } from "../objects/manifest.ts";
import type { TensorDescription } from "../objects/tensor-pack.ts";
import type { KnownVersion } from "../outer/types.ts";
import type { Slot } from "../plan/types.ts";
import type { Random } from "../random.ts";
import type { Topology } from "../run/types.ts";
import type { PackStore as Packs } from "../store/pack.ts";
import type { Store } from "../store/types.ts";
import type { EvidenceLog } from "./conduct/evidence.ts";
import type { Offence } from "./conduct/offences.ts";

export type { Packs };

/** What a swarm is given. */
export interface SwarmInit {
  clock: Clock;
  /** For choices among peers and modules. */
  random: Random;
  network: Network;
  store: Store;
  packs: Packs;
  run: CID;
  manifest: Manifest;
  topology: Topology;
  /** The genesis version of each module, by module name. */
  genesis: ReadonlyMap<string, KnownVersion>;
  /** Tensors of a module in network order. */
  tensors(module: string): TensorDescription[];
  /** Peers that are known to have the run, before any of them is heard. */
  sources(): string[];
  /** Where offences of peers are kept; absent when they are not. */
  evidence?: EvidenceLog;
  /** Absent for an observer. */
  trainer: PathTrainer | undefined;
  /** For runs that try contributions on held-out text; absent in others, and for an observer. */
  scorer?: HoldoutScorer;
  /** Gets an object of the manifest onto this disk, to stay. */
  keep(object: CID, signal: AbortSignal): Promise<void>;
  /** Keep all tensors of all generations. */
  archive: boolean;
  memoryBytes: number;
  /** Time between two looks for a half of the run that this one does not know. @default 20 s */
  searchMs?: number;
  logger: Logger;
  emit(event: SwarmEvent): void;
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

/** AdamW moments of a path: flat vectors of all its parameters. */
export interface Moments {
  /** Steps that they have seen. */
  step: number;
  firstMoment: Float32Array;
  secondMoment: Float32Array;
}

/** How far a round of a path is. */
export interface RoundProgress {
  /** Steps that are done. */
  steps: number;
  /** Their mean training loss, nats per token. */
  loss: number;
  /** Whether it began without moments, so that its learning rate warms up. */
  warmsUp: boolean;
}

/** The middle of a round: with it the round goes on as if it had never stopped. */
export interface RoundState {
  /** θ, flat, a whole path. */
  parameters: Float32Array;
  moments: Moments;
  progress: RoundProgress;
}

/** What a round of a path produced. */
export interface TrainedRound {
  moments: Moments;
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
  /**
   * Trains `parameters` (flat, a whole path) in place for the round of the slot, from the moments that the round
   * before it left; without them, in a takeover, the learning rate warms up. With `progress` it goes on from there.
   */
  train(
    slot: Slot,
    from: Pick<RoundState, "parameters"> & Partial<RoundState>,
    report: RoundReport,
    signal: AbortSignal,
  ): Promise<TrainedRound>;
  close(): Promise<void>;
}

/** What a trainer tells while it trains. */
export interface RoundReport {
  step(step: SlotStep): void;
  /** Called now and then, and when the signal aborts; training goes on when it resolves. The vectors are not its own. */
  keep(state: RoundState): Promise<void>;
}

/** Scores whole paths on held-out text; the swarm's only other view of the learning side. */
export interface HoldoutScorer {
  /**
   * Nats per token of `parameters` (flat, a whole path) on held-out text of the path, the same on every machine to the
   * last bit.
   */
  score(path: number, parameters: Float32Array, signal: AbortSignal): Promise<number>;
  close(): Promise<void>;
}

/** Facts that people and programs follow; printed as NDJSON by `join --json`. */
export type SwarmEvent =
  /** `live` counts the other workers; an observer, such as `status`, is none. */
  | { type: "member"; peer: string; role: "worker" | "observer"; state: "joined" | "left"; live: number }
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
  /** An object of the manifest, such as a shard, is on this disk to stay. */
  | { type: "kept"; cid: string }
  | { type: "head"; module: string; generation: number; cid: string }
  | { type: "rejected"; module: string; cid: string; reason: string }
  /** A version's tensors cannot be had; this peer builds on another until they can. */
  | { type: "passed-over"; module: string; generation: number; cid: string; reason: string }
  /** A peer sent what this one does not know the format of, for the first time: one of the two may be out of date. */
  | { type: "unknown-format"; peer: string; reason: string }
  /** A peer did what no honest peer does; see `src/swarm/conduct/offences.ts`. */
  | { type: "offence"; peer: string; offence: Offence; reason: string; score: number; cid?: string }
  /** A peer is shut out for a time. */
  | { type: "blocked"; peer: string; offence: Offence; reason: string; seconds: number }
  /** Peers that this one did not know have trained on from other versions: two halves of the run have met. */
  | { type: "split"; peers: string[]; heads: number }
  /** A peer was asked for what it knows, which brought records of the lineage. */
  | { type: "exchange"; peer: string; records: number; milliseconds: number }
  | { type: "waiting"; reason: string }
  | { type: "done" };
