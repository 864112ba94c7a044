import type { ModelShape } from "../model/types.ts";

/** Everything a round needs to go on: flat vectors in the order of `parameterSpecs`. */
export interface TrainState {
  parameters: Float32Array;
  /** AdamW first moment. */
  firstMoment: Float32Array;
  /** AdamW second moment. */
  secondMoment: Float32Array;
  /** AdamW steps done since the moments were zero; drives bias correction. */
  step: number;
}

/** One training or evaluation batch. */
export interface Batch {
  /** Token ids, (B, T + 1) row-major: inputs are columns 0..T-1, targets are columns 1..T. */
  tokens: Int32Array;
  /** Weight of each target in the loss, (B, T) row-major; 0 leaves a target out. */
  mask: Float32Array;
}

/** AdamW without its learning rate, which is a schedule. */
export interface OptimizerConfig {
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
  clipNorm: number;
}

/** The learning rate of a step, by the number of the step in the whole run (0-based). */
export type LearningRate = (globalStep: number) => number;

export interface StepRecord {
  /** The step in the whole run, 0-based. */
  step: number;
  /** Mean over unmasked targets, nats per token. */
  loss: number;
  learningRate: number;
  /** Global gradient norm before clipping. */
  gradientNorm: number;
  /** B × T. */
  tokens: number;
  milliseconds: number;
}

export interface TrainOptions {
  /** Number of the first step in the whole run; the schedule continues from there. */
  firstStep: number;
  steps: number;
  learningRate: LearningRate;
  optimizer: OptimizerConfig;
  signal?: AbortSignal;
}

/** Device and threads an engine uses. */
export interface EngineConfig {
  shape: ModelShape;
  batchSize: number;
  kind: "compiled" | "eager";
  /** compiled: `cpu`, `webgpu` or `cuda`; eager: the name of an installed tfjs backend, e.g. `tensorflow`, `cpu`. */
  device: string;
  /** Threads of the CPU device; the number of cores when absent. */
  threads?: number;
  /** compiled: training steps per call of the runtime. */
  stepsPerCall?: number;
}

/** Trains and evaluates one path-sized network. Runs off the main thread. */
export interface Engine {
  /** E.g. `compiled-cpu`. */
  readonly name: string;
  /**
   * Runs `options.steps` steps of AdamW and yields one record per step. `batches` yields at least that
   * many. The state is updated in place when the iterator ends; an abort or early return leaves it
   * at a whole number of steps.
   */
  train(
    state: TrainState,
    batches: Iterable<Batch> | AsyncIterable<Batch>,
    options: TrainOptions,
  ): AsyncGenerator<StepRecord, void, undefined>;
  /** Masked negative log-likelihood, summed per sequence: (B). The batch may have any B ≤ batchSize. */
  score(parameters: Float32Array, batch: Batch): Promise<Float32Array>;
  /** Next-token logits after `positions[b]`: tokens (B, T), positions (B) → (B, vocabulary) row-major. */
  logits(parameters: Float32Array, tokens: Int32Array, positions: Int32Array): Promise<Float32Array>;
  /**
   * Mean last-block hidden state (before the final norm) over the first `lengths[b]` tokens: tokens (B, T),
   * lengths (B) → (B, width) row-major (paper section 7.2).
   */
  features(parameters: Float32Array, tokens: Int32Array, lengths: Int32Array): Promise<Float32Array>;
  close(): Promise<void>;
}
