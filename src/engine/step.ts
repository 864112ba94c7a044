/** One training step in tfjs operations: the same for the eager and the compiled engine. */
import * as tf from "@tensorflow/tfjs-core";
import { INNER_OPTIMIZERS } from "../model/optimizers.ts";
import type { OptimizerState } from "../model/optimizers/types.ts";
import type { Network } from "../model/transformer.ts";
import type { ParameterSpec } from "../model/types.ts";

/** By which every run trains; none can name another yet. */
export const OPTIMIZER = INNER_OPTIMIZERS.adamw;

/** What a step leaves behind. */
export interface StepResult {
  state: OptimizerState;
  loss: tf.Scalar;
  /** Global gradient norm before clipping. */
  gradientNorm: tf.Scalar;
}

/** Loss, gradients and the optimizer: tokens (B, T + 1) int32, mask (B, T), scalars of the optimizer. */
export function trainStep(
  network: Network,
  specs: ParameterSpec[],
  state: OptimizerState,
  tokens: tf.Tensor,
  mask: tf.Tensor,
  scalars: tf.Tensor1D,
): StepResult {
  const gradientsOf = tf.valueAndGrads((...parameters) => network.loss(parameters, tokens, mask));
  const { value, grads } = gradientsOf(state.parameters);
  return { loss: value, ...OPTIMIZER.step(specs, state, grads, scalars) };
}
