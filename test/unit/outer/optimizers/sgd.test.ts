import assert from "node:assert/strict";
import { test } from "node:test";
import { sgd } from "../../../../src/outer/optimizers/sgd.ts";

const config = { learningRate: 0.5, momentum: 0.9 };

test("is a step down the outer gradient, and keeps nothing", () => {
  const state = { parameters: Float32Array.of(1, -2, 8) };
  const next = sgd.step(state, Float32Array.of(1, 1, -4), config);
  assert.deepEqual(next, { parameters: Float32Array.of(0.5, -2.5, 10) });
  assert.deepEqual(state.parameters, Float32Array.of(1, -2, 8));
  assert.deepEqual(Object.keys(next), sgd.stateNames);
});

test("with a rate of 1 it is federated averaging: the average of what was trained", () => {
  const [start, ends] = [Float32Array.of(4), [1, 2, 6]];
  const average = Float32Array.of(ends.reduce((sum, end) => sum + (4 - end) / 3, 0));
  const { parameters } = sgd.step({ parameters: start }, average, { ...config, learningRate: 1 });
  assert.ok(Math.abs(parameters[0]! - 3) < 1e-6);
});
