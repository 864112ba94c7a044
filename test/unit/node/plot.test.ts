import assert from "node:assert/strict";
import { test } from "node:test";
import { formatRate, plotTrials } from "../../../node/plot.ts";

test("a learning rate is written as people write it", () => {
  assert.deepEqual([3.7e-3, 8e-3, 0.016, 1, 12].map(formatRate), [
    "3.7e-3",
    "8e-3",
    "1.6e-2",
    "1e0",
    "1.2e1",
  ]);
  for (const rate of [3.7e-3, 8e-3, 0.016, 1, 12]) assert.equal(Number(formatRate(rate)), rate);
});

test("losses are drawn in the order of the rates, the best one at the axis, in 80 columns", () => {
  const lines = plotTrials([
    { learningRate: 4e-3, steps: 320, loss: 4.25 },
    { learningRate: 8e-3, steps: 320, loss: 4 },
    { learningRate: 2e-3, steps: 320, loss: 4.5 },
    { learningRate: 1.6e-2, steps: 41, loss: undefined },
  ]);
  assert.deepEqual(lines, [
    `  2e-3   4.500 |${" ".repeat(47)}o`,
    `  4e-3   4.250 |${" ".repeat(24)}o`,
    "  8e-3   4.000 |o  best",
    "1.6e-2  diverged at step 41",
  ]);
  assert.ok(lines.every((line) => line.length <= 80));
});

test("a loss far above the others does not push them together", () => {
  const [low, middle, high] = plotTrials([
    { learningRate: 1e-3, steps: 9, loss: 4 },
    { learningRate: 2e-3, steps: 9, loss: 4.75 },
    { learningRate: 4e-3, steps: 9, loss: 900 },
  ]);
  assert.ok(low!.indexOf("o") < middle!.indexOf("o") && middle!.indexOf("o") < high!.indexOf("o"));
  assert.ok(high!.length <= 80);
});

test("a single rate, and one where all diverged, can be drawn", () => {
  assert.deepEqual(plotTrials([{ learningRate: 1e-3, steps: 9, loss: 4 }]), ["1e-3   4.000 |o  best"]);
  assert.deepEqual(plotTrials([{ learningRate: 1e-3, steps: 9, loss: undefined }]), [
    "1e-3  diverged at step 9",
  ]);
});
