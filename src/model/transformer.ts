/**
 * The network, written once: Llama-shaped (RMSNorm, rotary positions, SwiGLU, no biases, untied head),
 * so that every path exports as a standard checkpoint. Runs on any tfjs backend, or is traced.
 */
import * as tf from "@tensorflow/tfjs-core";
import {
  attention,
  embedding,
  linear,
  mergeHeads,
  residual,
  rmsNorm,
  rotary,
  type RotaryTables,
  splitHeads,
  swiglu,
  tokenLosses,
  weightedSum,
} from "./layers.ts";
import { blockNames, EMBEDDING, FINAL_NORM, HEAD, parameterSpecs } from "./parameters.ts";
import type { ModelShape } from "./types.ts";

/** Low enough that exp is 0 in f32, high enough that adding scores to it stays finite. */
const MASKED_SCORE = -1e9;
/** Keeps the loss of a batch whose mask is all zero at 0. */
const SMALLEST_WEIGHT = 1e-9;

/** Rotary tables with every entry times `scale`. */
function rotaryTables(shape: ModelShape, scale: number): RotaryTables {
  const { sequenceLength: length, width, heads, ropeTheta } = shape;
  const half = width / heads / 2;
  const angles = Float64Array.from(
    { length: length * half },
    (_, at) => Math.floor(at / half) / ropeTheta ** ((at % half) / half),
  );
  const table = (of: (angle: number) => number): tf.Tensor =>
    tf.tensor(
      Float32Array.from(angles, (angle) => scale * of(angle)),
      [length, half],
    );
  return { cosine: table(Math.cos), sine: table(Math.sin) };
}

function causalMask(length: number): tf.Tensor {
  const mask = new Float32Array(length * length);
  for (let query = 0; query < length; query++)
    mask.fill(MASKED_SCORE, query * length + query + 1, (query + 1) * length);
  return tf.tensor(mask, [length, length]);
}

/** The functions of the network. Parameters are one tensor per entry of `parameterSpecs`, in order. */
export interface Network {
  /** Training loss: tokens (B, T + 1) int32, mask (B, T) → Σ mask·nll / Σ mask. */
  loss(parameters: tf.Tensor[], tokens: tf.Tensor, mask: tf.Tensor): tf.Scalar;
  /** tokens (B, T + 1), mask (B, T) → Σ mask·nll of each sequence (B). */
  score(parameters: tf.Tensor[], tokens: tf.Tensor, mask: tf.Tensor): tf.Tensor;
  /** tokens (B, T), positions (B) → logits after them (B, vocabulary). */
  logits(parameters: tf.Tensor[], tokens: tf.Tensor, positions: tf.Tensor): tf.Tensor;
  /** tokens (B, T), weights (B, T) → weighted sum of the last block's hidden states (B, width). */
  features(parameters: tf.Tensor[], tokens: tf.Tensor, weights: tf.Tensor): tf.Tensor;
  /** Frees the network's constants. */
  dispose(): void;
}

/** Creates the network on the current tfjs backend. */
export function createNetwork(shape: ModelShape): Network {
  const { sequenceLength: length, width, blocks, heads, normEpsilon } = shape;
  const names = parameterSpecs(shape).map(({ name }) => name);
  const keyTables = rotaryTables(shape, 1);
  const queryTables = rotaryTables(shape, 1 / Math.sqrt(width / heads)); // scales the scores for free
  const causal = causalMask(length);

  const byName = (parameters: tf.Tensor[]) => (name: string) => parameters[names.indexOf(name)]!;

  /** tokens (B, T) → residual stream after the last block (B·T, d). */
  const hiddenStates = (parameters: tf.Tensor[], tokens: tf.Tensor): tf.Tensor => {
    const weight = byName(parameters);
    const batch = tokens.shape[0];
    let x = embedding(weight(EMBEDDING), tf.reshape(tokens, [-1]));
    for (let block = 0; block < blocks; block++) {
      const name = blockNames(block);
      const attended = rmsNorm(x, weight(name.attentionNorm), normEpsilon);
      const project = (of: string): tf.Tensor => splitHeads(linear(attended, weight(of)), batch, heads);
      const query = rotary(project(name.query), queryTables);
      const key = rotary(project(name.key), keyTables);
      const mixed = mergeHeads(attention(query, key, project(name.value), causal));
      x = residual(x, linear(mixed, weight(name.output)));
      const normal = rmsNorm(x, weight(name.hiddenNorm), normEpsilon);
      const hidden = swiglu(linear(normal, weight(name.gate)), linear(normal, weight(name.up)));
      x = residual(x, linear(hidden, weight(name.down)));
    }
    return x;
  };

  /** tokens (B, T + 1) → nll of every target (B·T). */
  const losses = (parameters: tf.Tensor[], tokens: tf.Tensor): tf.Tensor => {
    const weight = byName(parameters);
    const batch = tokens.shape[0];
    const inputs = tf.slice(tokens, [0, 0], [batch, length]);
    const targets = tf.reshape(tf.slice(tokens, [0, 1], [batch, length]), [-1]);
    const x = rmsNorm(hiddenStates(parameters, inputs), weight(FINAL_NORM), normEpsilon);
    return tokenLosses(x, weight(HEAD), targets);
  };

  return {
    loss(parameters, tokens, mask) {
      const weights = tf.div(mask, tf.maximum(tf.sum(mask), SMALLEST_WEIGHT));
      return weightedSum(losses(parameters, tokens), tf.reshape(weights, [-1]));
    },
    score(parameters, tokens, mask) {
      return tf.sum(tf.mul(tf.reshape(losses(parameters, tokens), mask.shape), mask), -1);
    },
    logits(parameters, tokens, positions) {
      const weight = byName(parameters);
      const batch = tokens.shape[0];
      const starts = tf.tensor1d(
        Int32Array.from({ length: batch }, (_, row) => row * length),
        "int32",
      );
      const rows = tf.gather(hiddenStates(parameters, tokens), tf.add(starts, positions) as tf.Tensor1D);
      return linear(rmsNorm(rows, weight(FINAL_NORM), normEpsilon), weight(HEAD));
    },
    features(parameters, tokens, weights) {
      const batch = tokens.shape[0];
      const states = tf.reshape(hiddenStates(parameters, tokens), [batch, length, width]);
      return tf.reshape(tf.matMul(tf.reshape(weights, [batch, 1, length]), states), [batch, width]);
    },
    dispose() {
      const { cosine, sine } = queryTables;
      tf.dispose([cosine, sine, keyTables.cosine, keyTables.sine, causal]);
    },
  };
}
