/** The engines compute the same thing: step by step, whatever runs them. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import type { Engine } from "../../../src/engine/types.ts";
import { learningRateSchedule } from "../../../src/model/schedule.ts";
import {
  batches,
  firstBatch,
  freshState,
  largestDifference,
  lossesOf,
  normsOf,
  optimizer,
  records,
  shape,
  tinyEngine,
  weights,
} from "./support.ts";

let compiled: Engine;
let eager: Engine;
before(async () => {
  [compiled, eager] = await Promise.all([
    tinyEngine({ stepsPerCall: 4 }),
    tinyEngine({ kind: "eager", device: "cpu" }),
  ]);
});
after(async () => {
  await compiled.close();
  await eager.close();
});

void test("trains alike, compiled and eager", async () => {
  const [a, b] = [freshState(), freshState()];
  const fast = await records(compiled, a, 10);
  const slow = await records(eager, b, 10);
  assert.ok(largestDifference(lossesOf(fast), lossesOf(slow)) < 1e-4);
  assert.ok(largestDifference(normsOf(fast), normsOf(slow)) < 1e-4);
  assert.ok(largestDifference(a.parameters, b.parameters) < 1e-3);
  assert.ok(Math.max(...normsOf(fast)) > optimizer.clipNorm, "the test clips");
  assert.ok(Math.min(...normsOf(fast)) > 0);
});

void test("evaluates alike, compiled and eager, also when the batch is not full", async () => {
  const parameters = weights();
  const { sequenceLength } = shape;
  for (const rows of [1, 2, 3]) {
    const batch = firstBatch(rows);
    const tokens = batch.tokens.slice(0, rows * sequenceLength);
    const places = Int32Array.of(3, 0, 11).slice(0, rows);
    const lengths = Int32Array.of(5, 12, 1).slice(0, rows);
    for (const compute of [
      (engine: Engine) => engine.score(parameters, batch),
      (engine: Engine) => engine.logits(parameters, tokens, places),
      (engine: Engine) => engine.features(parameters, tokens, lengths),
    ]) {
      const [fast, slow] = await Promise.all([compute(compiled), compute(eager)]);
      assert.equal(fast.length % rows, 0);
      assert.ok(largestDifference(fast, slow) < 1e-4);
    }
  }
});

void test("scores what training reports, and logits give the same likelihoods", async () => {
  const parameters = weights();
  const batch = firstBatch();
  const [record] = await records(compiled, freshState(), 1);
  const sums = await compiled.score(parameters, batch);
  const total = batch.mask.reduce((sum, weight) => sum + weight, 0);
  assert.ok(Math.abs(sums.reduce((sum, value) => sum + value, 0) / total - record!.loss) < 1e-5);

  // Sequence 0, target by target, from next-token logits.
  const { sequenceLength, vocabulary } = shape;
  let expected = 0;
  for (let position = 0; position < sequenceLength; position++) {
    const tokens = batch.tokens.slice(0, sequenceLength);
    const logits = await compiled.logits(parameters, tokens, Int32Array.of(position));
    assert.equal(logits.length, vocabulary);
    const normalizer = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
    expected += batch.mask[position]! * (normalizer - logits[batch.tokens[position + 1]!]!);
  }
  assert.ok(Math.abs(sums[0]! - expected) < 1e-3);
});

void test("looks only backwards", async () => {
  const parameters = weights();
  const tokens = firstBatch(1).tokens.slice(0, shape.sequenceLength);
  const changed = tokens.slice();
  changed.fill(0, 6);
  const at = Int32Array.of(5);
  assert.deepEqual(
    await compiled.logits(parameters, tokens, at),
    await compiled.logits(parameters, changed, at),
  );
  const next = Int32Array.of(6);
  assert.notDeepEqual(
    await compiled.logits(parameters, tokens, next),
    await compiled.logits(parameters, changed, next),
  );
});

void test("follows PyTorch for 20 steps", async () => {
  const golden = JSON.parse(
    await readFile(new URL("../../golden/engine/torch-losses.json", import.meta.url), "utf8"),
  ) as { losses: number[]; gradientNorms: number[] };
  const learningRate = learningRateSchedule(
    { learningRate: 0.02, finalLearningRate: 0.1, warmupSteps: 5 },
    golden.losses.length,
  );
  for (const engine of [compiled, eager]) {
    const all = await records(engine, freshState(), golden.losses.length, { learningRate });
    assert.ok(largestDifference(lossesOf(all), golden.losses) < 1e-3);
    assert.ok(largestDifference(normsOf(all), golden.gradientNorms) < 1e-3);
  }
});

void test("does not depend on how many steps one call does", async () => {
  const expected = lossesOf(await records(compiled, freshState(), 7));
  for (const stepsPerCall of [1, 3, 7]) {
    const engine = await tinyEngine({ stepsPerCall });
    const state = freshState();
    const all = await records(engine, state, 7);
    await engine.close();
    assert.deepEqual(lossesOf(all), expected);
    assert.deepEqual(
      all.map(({ step }) => step),
      [0, 1, 2, 3, 4, 5, 6],
    );
    assert.equal(state.step, 7);
  }
});

void test("goes on from a saved state as if it had never stopped", async () => {
  const source = batches();
  const whole = freshState();
  const uninterrupted = await records(compiled, whole, 8);
  const state = freshState();
  const firstHalf = await records(compiled, state, 3, { source: take(source, 3) });
  const saved = structuredClone(state);
  const secondHalf = await records(compiled, saved, 5, { source, firstStep: 3 });
  assert.deepEqual(lossesOf([...firstHalf, ...secondHalf]), lossesOf(uninterrupted));
  assert.deepEqual(saved, whole);
});

function* take<T>(source: Iterator<T>, count: number): Generator<T> {
  for (let i = 0; i < count; i++) yield source.next().value as T;
}
