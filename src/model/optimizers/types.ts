import type * as tf from "@tensorflow/tfjs-core";
import type { TrainingConfig } from "../../objects/config.ts";
import type { ParameterSpec } from "../types.ts";

/** The numbers of a run that an inner optimizer reads. */
export type InnerConfig = Pick<TrainingConfig, "beta1" | "beta2" | "epsilon" | "weightDecay" | "clipNorm">;

/** By name, one tensor per entry of `parameterSpecs`. */
export interface OptimizerState {
  parameters: tf.Tensor[];
  [name: string]: tf.Tensor[];
}

/** One inner optimizer, in tfjs operations: how a path moves by the gradients of a batch. */
export interface InnerOptimizer {
  /** What is kept from step to step, parameters first; the others are zeros at first. */
  readonly stateNames: readonly ["parameters", ...string[]];
  /** Numbers of a step that the graph takes as input, so that one graph serves every schedule. */
  readonly scalarCount: number;
  /**
   * These numbers, computed in double precision.
   * @param step steps done, this one included (1-based)
   */
  scalars(config: InnerConfig, learningRate: number, step: number): number[];
  /**
   * The state after one step, and the global gradient norm before clipping.
   * @param scalars as a tensor (scalarCount)
   */
  step(
    specs: ParameterSpec[],
    state: OptimizerState,
    gradients: tf.Tensor[],
    scalars: tf.Tensor1D,
  ): { state: OptimizerState; gradientNorm: tf.Scalar };
}
