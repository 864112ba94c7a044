/** One training step in tfjs operations: the same for the eager and the compiled engine. */
import * as tf from "@tensorflow/tfjs-core";
import { adamw, type OptimizerState } from "../model/optimizer.ts";
import type { Network } from "../model/transformer.ts";
import type { ParameterSpec } from "../model/types.ts";

/** What a step leaves behind. */
export interface StepResult extends OptimizerState {
  loss: tf.Scalar;
  /** Global gradient norm before clipping. */
  gradientNorm: tf.Scalar;
}

/** Loss, gradients and AdamW: tokens (B, T + 1) int32, mask (B, T), scalars from `optimizerScalars`. */
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
  return { loss: value, ...adamw(specs, state, grads, scalars) };
}
