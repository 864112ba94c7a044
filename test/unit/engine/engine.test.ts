/** What an engine promises beside its numbers. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CapacityError, InvalidObjectError, PathweaveError } from "../../../src/errors.ts";
import type { Engine } from "../../../src/engine/types.ts";
import {
  batches,
  firstBatch,
  freshState,
  lossesOf,
  optimizer,
  records,
  shape,
  tinyEngine,
  weights,
} from "./support.ts";

let engine: Engine;
before(async () => {
  engine = await tinyEngine({ stepsPerCall: 2 });
});
after(() => engine.close());

const options = { firstStep: 0, steps: 10, learningRate: () => 0.01, optimizer };

void test("names its kind and device", () => {
  assert.equal(engine.name, "compiled-cpu");
});

void test("reports the step, rate, tokens and time of every step", async () => {
  const state = freshState();
  const learningRate = (step: number): number => step / 1000;
  const [first, second, third] = await records(engine, state, 3, { firstStep: 40, learningRate });
  assert.deepEqual([first!.step, second!.step, third!.step], [40, 41, 42]);
  assert.deepEqual([first!.learningRate, third!.learningRate], [0.04, 0.042]);
  assert.equal(first!.tokens, 3 * shape.sequenceLength);
  assert.ok(first!.milliseconds > 0);
  assert.equal(state.step, 3);
});

void test("keeps the caller's arrays and updates them when the iterator ends", async () => {
  const state = freshState();
  const { parameters, secondMoment } = state;
  await records(engine, state, 2);
  assert.equal(state.parameters, parameters);
  assert.notDeepEqual(parameters, weights());
  assert.ok(secondMoment.some((value) => value > 0));
});

void test("takes batches from an async source and closes it", async () => {
  let closed = false;
  async function* source() {
    try {
      yield* batches();
    } finally {
      closed = true;
    }
  }
  const expected = await records(engine, freshState(), 4);
  const all = await records(engine, freshState(), 4, { source: source() });
  assert.deepEqual(lossesOf(all), lossesOf(expected));
  assert.ok(closed);
});

void test("stops at a whole number of steps when it is aborted", async () => {
  const state = freshState();
  const controller = new AbortController();
  const seen: number[] = [];
  await assert.rejects(
    async () => {
      for await (const { step } of engine.train(state, batches(), {
        ...options,
        signal: controller.signal,
      })) {
        seen.push(step);
        if (step === 3) controller.abort();
      }
    },
    { name: "AbortError" },
  );
  assert.deepEqual(seen, [0, 1, 2, 3]);
  assert.equal(state.step, 4);
  const uninterrupted = freshState();
  await records(engine, uninterrupted, 4);
  assert.deepEqual(state, uninterrupted);
});

void test("stops at a whole number of steps when the consumer leaves", async () => {
  const state = freshState();
  for await (const { step } of engine.train(state, batches(), options)) if (step === 2) break;
  assert.equal(state.step, 4, "the call of steps 2 and 3 was done");
  const uninterrupted = freshState();
  await records(engine, uninterrupted, 4);
  assert.deepEqual(state, uninterrupted);
});

void test("reports divergence and leaves the state unharmed", async () => {
  const state = freshState();
  state.parameters[5] = Number.NaN;
  const before = structuredClone(state);
  await assert.rejects(records(engine, state, 4), (error: Error) => {
    assert.ok(error instanceof PathweaveError);
    assert.match(error.message, /diverged.*step 0.*learningRate/);
    return true;
  });
  assert.deepEqual(state, before);
  assert.equal((await records(engine, freshState(), 2)).length, 2, "the engine still works");
});

void test("reports divergence in a later step, with that step", async () => {
  const state = freshState();
  const learningRate = (step: number): number => (step === 2 ? Infinity : 0.01);
  await assert.rejects(records(engine, state, 8, { learningRate }), /loss of step 3/);
  assert.deepEqual(state, freshState());
});

void test("gives a batch without any target a loss of zero and no gradient", async () => {
  const batch = firstBatch();
  batch.mask.fill(0);
  const [record] = await records(engine, freshState(), 1, { source: [batch] });
  assert.equal(record!.loss, 0);
  assert.equal(record!.gradientNorm, 0);
});

void test("stays exact where a target is so unlikely that its probability underflows", async () => {
  const parameters = weights();
  const scale = 2000;
  const head = parameters.length - shape.vocabulary * shape.width;
  for (let i = head; i < parameters.length; i++) parameters[i]! *= scale;
  const small = weights();
  const batch = firstBatch(1);
  const tokens = batch.tokens.slice(0, shape.sequenceLength);
  const logits = await engine.logits(small, tokens, Int32Array.of(0));
  const mask = new Float32Array(shape.sequenceLength);
  mask[0] = 1;
  const [score] = await engine.score(parameters, { tokens: batch.tokens, mask });
  // With logits this large the normaliser is the largest one.
  const expected = scale * (Math.max(...logits) - logits[batch.tokens[1]!]!);
  assert.ok(expected > 200);
  assert.ok(Math.abs(score! - expected) < 1e-3 * expected);
});

void test("refuses what does not fit the network", async () => {
  const state = freshState();
  const batch = firstBatch();
  const parameters = weights();
  await assert.rejects(records(engine, state, 1, { source: [firstBatch(2)] }), RangeError);
  await assert.rejects(records(engine, state, 2, { source: [batch] }), /fewer batches/);
  const foreign = { ...batch, tokens: batch.tokens.with(4, shape.vocabulary) };
  await assert.rejects(records(engine, state, 1, { source: [foreign] }), InvalidObjectError);
  await assert.rejects(engine.score(parameters, foreign), InvalidObjectError);
  await assert.rejects(engine.score(parameters.slice(1), batch), RangeError);
  await assert.rejects(engine.score(parameters, firstBatch(4)), RangeError);
  const tokens = batch.tokens.slice(0, shape.sequenceLength);
  await assert.rejects(
    engine.logits(parameters, tokens, Int32Array.of(shape.sequenceLength)),
    InvalidObjectError,
  );
  await assert.rejects(engine.features(parameters, tokens, Int32Array.of(0)), InvalidObjectError);
  assert.deepEqual(state, freshState());
});

void test("evaluates while it trains, and trains two states in turn", async () => {
  const parameters = weights();
  const alone = await engine.score(parameters, firstBatch());
  const expected = lossesOf(await records(engine, freshState(), 6));
  const [a, b, score] = await Promise.all([
    records(engine, freshState(), 6),
    records(engine, freshState(), 6),
    engine.score(parameters, firstBatch()),
  ]);
  assert.deepEqual(lossesOf(a), expected);
  assert.deepEqual(lossesOf(b), expected);
  assert.deepEqual(score, alone);
});

void test("says which device or package is missing", async () => {
  const failure = (message: RegExp) => (error: Error) => {
    assert.ok(error instanceof CapacityError);
    assert.match(error.message, message);
    return true;
  };
  await assert.rejects(tinyEngine({ kind: "eager", device: "abacus" }), failure(/cpu, wasm, tensorflow/));
  await assert.rejects(
    tinyEngine({ kind: "eager", device: "tensorflow" }),
    failure(/npm install @tensorflow\/tfjs-node-gpu/),
  );
  await assert.rejects(tinyEngine({ device: "abacus" }), failure(/cpu, webgpu, cuda/));
});

void test("is closed once and then refuses work", async () => {
  const closing = await tinyEngine();
  await closing.close();
  await closing.close();
  await assert.rejects(closing.score(weights(), firstBatch()), /closed/);
});
