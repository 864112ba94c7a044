/**
 * The differentiable pieces of the network, each with its own gradient. tfjs could derive them, but
 * its gradients need kernels that some backends lack and keep or recompute more than is needed; these
 * run on every backend. N = B·T tokens, d = width.
 */
import * as tf from "@tensorflow/tfjs-core";

interface Differentiable {
  value: tf.Tensor;
  /** Every tensor that the gradient needs; others may be freed before it runs. */
  saved: tf.Tensor[];
  /** Gradients of the inputs from the gradient of the value. */
  backward(dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[];
}

/** Applies an operation with its own gradient to its inputs. */
function differentiable(inputs: tf.Tensor[], forward: () => Differentiable): tf.Tensor {
  return tf.customGrad((...withSave) => {
    const save = withSave.at(-1) as unknown as tf.GradSaveFunc;
    const { value, saved, backward } = forward();
    save(saved);
    return { value, gradFunc: (dy: tf.Tensor, kept: tf.Tensor[]) => backward(dy, kept) };
  })(...inputs);
}

/** x + y of equal shapes. */
export function residual(x: tf.Tensor, y: tf.Tensor): tf.Tensor {
  return differentiable([x, y], () => ({ value: tf.add(x, y), saved: [], backward: (dy) => [dy, dy] }));
}

/** x·Wᵀ: x (N, in), W (out, in) → (N, out). */
export function linear(x: tf.Tensor, weight: tf.Tensor): tf.Tensor {
  return differentiable([x, weight], () => ({
    value: tf.matMul(x, weight, false, true),
    saved: [x, weight],
    backward: (dy, [x, weight]) => [tf.matMul(dy, weight!), tf.matMul(dy, x!, true, false)],
  }));
}

/** Rows of a table: table (V, d), indices (N) int32 → (N, d). */
export function embedding(table: tf.Tensor, indices: tf.Tensor): tf.Tensor {
  return differentiable([table], () => ({
    value: tf.gather(table, indices),
    saved: [indices],
    backward: (dy, [indices]) => [tf.scatterND(tf.reshape(indices!, [-1, 1]), dy, table.shape)],
  }));
}

/** RMSNorm (Zhang & Sennrich 2019): x / √(mean(x²) + ε) · gain, x (N, d), gain (d). */
export function rmsNorm(x: tf.Tensor, gain: tf.Tensor, epsilon: number): tf.Tensor {
  return differentiable([x, gain], () => {
    const scale = tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), epsilon)); // (N, 1)
    const normal = tf.mul(x, scale);
    return {
      value: tf.mul(normal, gain),
      saved: [normal, scale, gain],
      backward: (dy, [normal, scale, gain]) => {
        const product = tf.mul(dy, normal!);
        const width = gain!.size;
        // mean(dy·gain·x̂) per row as a thin matrix product.
        const along = tf.matMul(product, tf.reshape(tf.div(gain!, width), [width, 1])); // (N, 1)
        const dx = tf.mul(tf.sub(tf.mul(dy, gain!), tf.mul(normal!, along)), scale!);
        return [dx, tf.sum(product, 0)];
      },
    };
  });
}

/** SwiGLU (Shazeer 2020): silu(gate)·up, both (N, hidden). */
export function swiglu(gate: tf.Tensor, up: tf.Tensor): tf.Tensor {
  return differentiable([gate, up], () => {
    const sigmoid = tf.sigmoid(gate);
    const silu = tf.mul(gate, sigmoid);
    return {
      value: tf.mul(silu, up),
      saved: [sigmoid, silu, up],
      backward: (dy, [sigmoid, silu, up]) => {
        // silu' = σ + silu·(1 − σ)
        const slope = tf.add(sigmoid!, tf.mul(silu!, tf.sub(1, sigmoid!)));
        return [tf.mul(tf.mul(dy, up!), slope), tf.mul(dy, silu!)];
      },
    };
  });
}

/** (B·T, H·D) → (B, H, T, D). */
export function splitHeads(x: tf.Tensor, batch: number, heads: number): tf.Tensor {
  const [rows, width] = x.shape as [number, number];
  const split = [batch, rows / batch, heads, width / heads];
  return differentiable([x], () => ({
    value: tf.transpose(tf.reshape(x, split), [0, 2, 1, 3]),
    saved: [],
    backward: (dy) => [tf.reshape(tf.transpose(dy, [0, 2, 1, 3]), [rows, width])],
  }));
}

/** (B, H, T, D) → (B·T, H·D). */
export function mergeHeads(x: tf.Tensor): tf.Tensor {
  const [batch, heads, length, size] = x.shape as [number, number, number, number];
  return differentiable([x], () => ({
    value: tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [batch * length, heads * size]),
    saved: [],
    backward: (dy) => [tf.transpose(tf.reshape(dy, [batch, length, heads, size]), [0, 2, 1, 3])],
  }));
}

/** Cosines and sines of the angles, (T, D / 2) each. */
export interface RotaryTables {
  cosine: tf.Tensor;
  sine: tf.Tensor;
}

/** Turns the pairs (xᵢ, xᵢ₊D/2) by their angles; one kernel where the backend has it. */
function rotate(x: tf.Tensor, cosine: tf.Tensor, sine: tf.Tensor): tf.Tensor {
  if (tf.getKernel("RotaryEmbedding", tf.getBackend()) !== undefined)
    return tf.engine().runKernel("RotaryEmbedding", { x, cosine, sine });
  const [first, second] = tf.split(x, 2, -1) as [tf.Tensor, tf.Tensor];
  const turned = [
    tf.sub(tf.mul(first, cosine), tf.mul(second, sine)),
    tf.add(tf.mul(second, cosine), tf.mul(first, sine)),
  ];
  return tf.concat(turned, -1);
}

/**
 * Rotary positions (Su et al. 2021) in Hugging Face's half-split convention: x (B, H, T, D).
 * The gradient is the rotation by the opposite angle.
 */
export function rotary(x: tf.Tensor, { cosine, sine }: RotaryTables): tf.Tensor {
  return differentiable([x], () => ({
    value: rotate(x, cosine, sine),
    saved: [],
    backward: (dy) => [rotate(dy, cosine, tf.neg(sine))],
  }));
}

/**
 * Causal attention: query, key, value (B, H, T, D) → (B, H, T, D). The query is already scaled by 1/√D.
 * @param causal (T, T), 0 where a query may look and a large negative number where it may not.
 */
export function attention(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, causal: tf.Tensor): tf.Tensor {
  return differentiable([query, key, value], () => {
    const weights = tf.softmax(tf.add(tf.matMul(query, key, false, true), causal)); // (B, H, T, T)
    const mixed = tf.matMul(weights, value);
    return {
      value: mixed,
      saved: [query, key, value, weights, mixed],
      backward: (dy, [query, key, value, weights, mixed]) => {
        // Σⱼ wᵢⱼ·dwᵢⱼ = dyᵢ·yᵢ, which is far smaller than the weights (FlashAttention, section 3.1).
        const along = tf.sum(tf.mul(dy, mixed!), -1, true); // (B, H, T, 1)
        const dScores = tf.mul(weights!, tf.sub(tf.matMul(dy, value!, false, true), along));
        return [
          tf.matMul(dScores, key!),
          tf.matMul(dScores, query!, true, false),
          tf.matMul(weights!, dy, true, false),
        ];
      },
    };
  });
}

/**
 * Negative log-likelihood of each target: x (N, d), weight (V, d), targets (N) int32 → (N), nats.
 * Head and cross-entropy are one operation, so that the gradient of the logits, the largest tensor of
 * a step, is never formed: (p − onehot)·W = p·W − W[target].
 */
export function tokenLosses(x: tf.Tensor, weight: tf.Tensor, targets: tf.Tensor): tf.Tensor {
  return differentiable([x, weight], () => {
    const logits = tf.matMul(x, weight, false, true); // (N, V)
    const probabilities = tf.softmax(logits);
    const targetRows = tf.gather(weight, targets); // (N, d)
    const targetLogits = tf.sum(tf.mul(x, targetRows), -1);
    // log Σ exp, exact where the target's own probability underflows.
    const normalizer = tf.sub(tf.max(logits, -1), tf.log(tf.max(probabilities, -1)));
    return {
      value: tf.sub(normalizer, targetLogits),
      saved: [x, weight, targets, probabilities, targetRows],
      backward: (dy, [x, weight, targets, probabilities, targetRows]) => {
        const column = tf.reshape(dy, [-1, 1]);
        const scaled = tf.mul(x!, column);
        const dx = tf.mul(tf.sub(tf.matMul(probabilities!, weight!), targetRows!), column);
        const atTargets = tf.scatterND(tf.reshape(targets!, [-1, 1]), scaled, weight!.shape);
        return [dx, tf.sub(tf.matMul(probabilities!, scaled, true, false), atTargets)];
      },
    };
  });
}

/** Σ weights·losses, both (N); the weights are no parameters. */
export function weightedSum(losses: tf.Tensor, weights: tf.Tensor): tf.Scalar {
  return differentiable([losses], () => ({
    value: tf.sum(tf.mul(losses, weights)),
    saved: [weights],
    backward: (dy, [weights]) => [tf.mul(weights!, dy)],
  })) as tf.Scalar;
}
