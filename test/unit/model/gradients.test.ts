/** The hand-written gradients against finite differences of the loss. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as tf from "@tensorflow/tfjs-core";
import { selectBackend } from "../../../src/engine/backends.ts";
import { parameterSpecs } from "../../../src/model/parameters.ts";
import { createNetwork } from "../../../src/model/transformer.ts";
import { BATCH_SIZE, firstBatch, lcg, shape, weights } from "../engine/support.ts";

before(() => selectBackend("cpu"));

void test("the gradient of every parameter tensor is the slope of the loss", () => {
  const network = createNetwork(shape);
  const specs = parameterSpecs(shape);
  const { tokens, mask } = firstBatch();
  const inputs = tf.tensor(tokens, [BATCH_SIZE, shape.sequenceLength + 1], "int32");
  const targets = tf.tensor(mask, [BATCH_SIZE, shape.sequenceLength]);
  const flat = weights();
  const parameters = specs.map((spec) =>
    tf.tensor(flat.slice(spec.offset, spec.offset + spec.size), spec.shape),
  );
  const loss = (...at: tf.Tensor[]): tf.Scalar => network.loss(at, inputs, targets);
  const { grads } = tf.valueAndGrads(loss)(parameters);
  const lossAt = (values: tf.Tensor[]): number => tf.tidy(() => loss(...values).dataSync()[0]!);

  const uniform = lcg(3);
  for (const [i, { name, shape: dimensions, size }] of specs.entries()) {
    const gradient = grads[i]!;
    const norm = tf.norm(gradient).dataSync()[0]!;
    const noise = tf.tensor(
      Float32Array.from({ length: size }, () => uniform() - 0.5),
      dimensions,
    );
    // Along the gradient, where the slope is largest, and half-way to a random direction.
    const along = tf.div(gradient, norm);
    for (const direction of [along, tf.add(along, tf.div(noise, tf.norm(noise)))]) {
      const step = 0.01;
      const moved = (distance: number): tf.Tensor[] =>
        parameters.with(i, tf.add(parameters[i]!, tf.mul(direction, distance)));
      const slope = (lossAt(moved(step)) - lossAt(moved(-step))) / (2 * step);
      const expected = tf.sum(tf.mul(gradient, direction)).dataSync()[0]!;
      assert.ok(
        Math.abs(slope - expected) < 2e-4 + 5e-3 * Math.abs(expected),
        `${name}: slope ${slope}, gradient ${expected}`,
      );
    }
    assert.ok(norm > 1e-3, `${name} has no gradient worth testing`);
  }
});
