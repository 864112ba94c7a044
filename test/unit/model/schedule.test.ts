import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { learningRateSchedule } from "../../../src/model/schedule.ts";

const training = { learningRate: 2e-3, finalLearningRate: 0.1, warmupSteps: 20 };

void test("warms up linearly to the peak", () => {
  const rate = learningRateSchedule(training, 200);
  assert.equal(rate(0), 2e-3 / 20);
  assert.equal(rate(9), 2e-3 / 2);
  assert.equal(rate(19), 2e-3);
  assert.equal(rate(20), 2e-3);
});

void test("falls along a cosine to the final share and stays there", () => {
  const rate = learningRateSchedule(training, 221);
  assert.ok(Math.abs(rate(120) - 2e-3 * 0.55) < 1e-12, "half way down in the middle");
  assert.ok(Math.abs(rate(220) - 2e-4) < 1e-12);
  assert.ok(Math.abs(rate(5000) - 2e-4) < 1e-12);
});

void test("never warms up when there are no warm-up steps", () => {
  assert.equal(learningRateSchedule({ ...training, warmupSteps: 0 }, 10)(0), 2e-3);
});

void test("stays between zero and the peak and never rises after the warm-up", () => {
  fc.assert(
    fc.property(
      fc.nat(50),
      fc.integer({ min: 1, max: 500 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (warmupSteps, totalSteps, finalLearningRate) => {
        const rate = learningRateSchedule({ learningRate: 1, finalLearningRate, warmupSteps }, totalSteps);
        for (let step = 0; step < totalSteps + 5; step++) {
          assert.ok(rate(step) >= 0 && rate(step) <= 1 + 1e-12);
          if (step >= warmupSteps) assert.ok(rate(step + 1) <= rate(step) + 1e-12);
        }
      },
    ),
  );
});
