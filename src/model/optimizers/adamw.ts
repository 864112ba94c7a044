/** AdamW (Loshchilov & Hutter 2019) with global-norm clipping, in tfjs operations. */
import * as tf from "@tensorflow/tfjs-core";
import type { ParameterSpec } from "../types.ts";
import type { InnerConfig, InnerOptimizer, OptimizerState } from "./types.ts";

/** PyTorch's guard against division by zero in `clip_grad_norm_`. */
const NORM_EPSILON = 1e-6;

const SCALARS = 8;

/** The number of the step is for bias correction. */
function scalarsOf(config: InnerConfig, learningRate: number, step: number): number[] {
  const { beta1, beta2, epsilon, weightDecay, clipNorm } = config;
  // η·(m/c₁)/(√(v/c₂) + ε) = (η·√c₂/c₁)·m/(√v + ε·√c₂): one product and one sum fewer per parameter.
  const correction1 = 1 - beta1 ** step;
  const root2 = Math.sqrt(1 - beta2 ** step);
  return [
    beta1,
    1 - beta1,
    beta2,
    1 - beta2,
    (learningRate * root2) / correction1,
    epsilon * root2,
    1 - learningRate * weightDecay,
    clipNorm,
  ];
}

/**
 * Weight decay is decoupled and applies where `spec.decay` says so; gradients are scaled so that their global norm is
 * at most the clip norm.
 */
function step(
  specs: ParameterSpec[],
  state: OptimizerState,
  gradients: tf.Tensor[],
  scalars: tf.Tensor1D,
): ReturnType<InnerOptimizer["step"]> {
  const scalar = (index: number): tf.Scalar => tf.reshape(tf.slice(scalars, [index], [1]), []);
  const [beta1, rest1, beta2, rest2, stepSize, epsilon, decay, clipNorm] = Array.from(
    { length: SCALARS },
    (_, index) => scalar(index),
  ) as [tf.Scalar, tf.Scalar, tf.Scalar, tf.Scalar, tf.Scalar, tf.Scalar, tf.Scalar, tf.Scalar];
  const squares = gradients.map((gradient) => tf.sum(tf.square(gradient)));
  const gradientNorm = tf.sqrt(tf.sum(tf.stack(squares))) as tf.Scalar;
  const clip = tf.minimum(tf.div(clipNorm, tf.add(gradientNorm, NORM_EPSILON)), 1);
  const gain1 = tf.mul(rest1, clip);
  const gain2 = tf.mul(rest2, tf.square(clip));

  const next = {
    parameters: [] as tf.Tensor[],
    firstMoment: [] as tf.Tensor[],
    secondMoment: [] as tf.Tensor[],
  };
  for (const [i, spec] of specs.entries()) {
    const gradient = gradients[i]!;
    const first = tf.add(tf.mul(state["firstMoment"]![i]!, beta1), tf.mul(gradient, gain1));
    const second = tf.add(tf.mul(state["secondMoment"]![i]!, beta2), tf.mul(tf.square(gradient), gain2));
    const update = tf.mul(tf.div(first, tf.add(tf.sqrt(second), epsilon)), stepSize);
    const parameter = state.parameters[i]!;
    next.parameters.push(tf.sub(spec.decay ? tf.mul(parameter, decay) : parameter, update));
    next.firstMoment.push(first);
    next.secondMoment.push(second);
  }
  return { state: next, gradientNorm };
}

export const adamw: InnerOptimizer = {
  stateNames: ["parameters", "firstMoment", "secondMoment"],
  scalarCount: SCALARS,
  scalars: scalarsOf,
  step,
};
